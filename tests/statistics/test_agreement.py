import numpy as np
import pytest
import scipy.stats

from genmed_jax.statistics import agreement
from genmed_jax.statistics.agreement import agreements, contradictions, Scored
from genmed_jax.statistics.direction import Direction


def scored(values, direction, error=0.01):
  return {
    f's{i}': Scored(v, v - error, v + error, direction)
    for i, v in enumerate(values)
  }


DICE = [0.9, 0.8, 0.7, 0.5, 0.3, 0.2]


@pytest.mark.parametrize(
  ('values', 'direction', 'expected'),
  [
    ([1, 2, 3, 4, 5, 6], Direction.LOWER, 1.0),
    ([1, 2, 3, 4, 5, 6], Direction.HIGHER, -1.0),
    ([0.1, -0.2, 0.3, -0.4, 0.5, -0.6], Direction.ZERO, 1.0),
  ],
)
def test_signs(values, direction, expected):
  scores = {
    ('net', 'fd'): scored(values, direction),
    ('seg', 'predicted_dice'): scored(DICE, Direction.HIGHER),
  }
  (found,) = agreements(scores)
  assert (found.metric, found.sets) == ('fd', 6)
  assert found.kendall == pytest.approx(expected)
  assert found.spearman == pytest.approx(expected)
  # All 720 orders are tried: two of them are as extreme.
  assert found.kendall_p == found.spearman_p == pytest.approx(2 / 720)
  assert found.kendall_low == pytest.approx(expected)


def test_statistics_are_scipys(random):
  x, y = random.integers(0, 6, (2, 5, 9)).astype(float)  # With ties.
  for ours, theirs in (
    (agreement._kendall, scipy.stats.kendalltau),
    (agreement._rank, scipy.stats.spearmanr),
  ):
    expected = [theirs(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(ours(x, y), expected, rtol=1e-12)


def test_chance_is_not_agreement(random):
  scores = {
    ('net', 'fd'): scored(random.standard_normal(12), Direction.LOWER),
    ('seg', 'predicted_dice'): scored(random.random(12), Direction.HIGHER),
  }
  (found,) = agreements(scores)
  assert found.kendall_p > 0.05
  assert found.kendall_low < 0 < found.kendall_high


def test_too_few_sets_and_constant_metrics_have_no_order():
  dice = {('seg', 'predicted_dice'): scored(DICE, Direction.HIGHER)}
  assert not agreements(
    {('net', 'fd'): scored(DICE[:3], Direction.LOWER)} | dice
  )
  assert not agreements(
    {('net', 'fd'): scored([1] * 6, Direction.LOWER)} | dice
  )
  assert not agreements({('net', 'fd'): scored(DICE, Direction.LOWER)})


def test_contradictions_are_beyond_both_intervals():
  dice = {
    ('seg', 'predicted_dice'): scored([0.9, 0.5, 0.505], Direction.HIGHER)
  }
  found = contradictions(
    {('net', 'fd'): scored([3, 1, 3], Direction.LOWER)} | dice
  )
  assert [tuple(each) for each in found] == [('net', 'fd', 's1', 's0')]
  wide = {('net', 'fd'): scored([3, 1, 3], Direction.LOWER, error=1.5)}
  assert not contradictions(wide | dice)
  # A gap that may be zero is as good as any.
  gap = {
    's0': Scored(0.2, -1.0, 1.4, Direction.ZERO),
    's1': Scored(-0.1, -0.2, -0.05, Direction.ZERO),
  }
  assert not contradictions({('net', 'ct'): gap} | dice)
  assert np.isclose(gap['s0'].goodness, -0.2)
