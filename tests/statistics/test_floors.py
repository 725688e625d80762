import numpy as np
import pytest

from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.floors import excess_of

SIZES = {'counts': (40, 40), 'size': 20, 'worth': 1.0}


def pairs(random, mean=0.0, splits=25):
  return mean + random.standard_normal((splits, 2))


@pytest.mark.parametrize(
  ('direction', 'sign'), [(Direction.LOWER, 1), (Direction.HIGHER, -1)]
)
def test_positive_is_worse(random, direction, sign):
  values, floors = pairs(random, 9), pairs(random, 5)
  excess = excess_of(values, floors, direction, **SIZES)
  assert sign * excess > 3
  opposite = excess_of(floors, values, direction, **SIZES)
  np.testing.assert_allclose(opposite, -excess, rtol=1e-9)


def test_of_a_target_sizes_are_compared(random):
  values, floors = pairs(random, -9), pairs(random, 5)
  mirrored = excess_of(values, floors, Direction.ZERO, **SIZES)
  expected = excess_of(-values, floors, Direction.LOWER, **SIZES)
  np.testing.assert_allclose(mirrored, expected, rtol=1e-9)


def mean_of(sets):
  return np.mean(sets, axis=-1)


@pytest.mark.parametrize(('n', 'm'), [(60, 60), (400, 40)])
def test_fresh_sets_of_a_linear_statistic_are_beyond_2_in_5_of_100(
  random, n, m
):
  """Of the mean, whose overlap is known, the unit is right as it is."""
  size, splits = min(n, m) // 2, 10
  found = []
  for _ in range(600):
    real, made = random.standard_normal(n), random.standard_normal(m)
    values, floors = [], []
    for _ in range(splits):
      x, y = (
        random.permutation(side)[: 2 * size].reshape(2, size).mean(1)
        for side in (real, made)
      )
      values.append(y)
      floors.append(x[::-1])
    found.append(
      excess_of(
        np.array(values),
        np.array(floors),
        Direction.LOWER,
        counts=(n, m),
        size=size,
        worth=1.0,
      )
    )
  assert 0.02 < np.mean(np.abs(found) > 2) < 0.08
  assert abs(np.mean(found)) < 0.15


def test_the_unit_is_at_least_what_is_asked(random):
  values = np.full((4, 2), 100.0)
  floors = np.zeros((4, 2))
  assert excess_of(values, floors, Direction.LOWER, **SIZES) is None
  assert excess_of(floors, floors, Direction.LOWER, **SIZES) == 0
  found = excess_of(values, floors, Direction.LOWER, **SIZES, least=0.5)
  np.testing.assert_allclose(found, 200.0)
