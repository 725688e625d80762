import numpy as np
import pytest

from genmed_jax.statistics.direction import Direction
from genmed_jax.study import verdicts


def judged(
  values, direction='lower', levels=(1, 2, 3), error=1.0, family='gaussian'
):
  values = np.float64(values)[:, None] + [0.0, 0.1]
  return verdicts.effect(
    family,
    'network',
    'metric',
    Direction(direction),
    levels,
    values,
    np.full(values.shape, error),
    np.array([10.0, 10.1]),
    np.full(2, error),
  )


@pytest.mark.parametrize(
  ('values', 'direction', 'verdict'),
  [
    ((12, 20, 40), 'lower', 'responds'),
    ((12, 20, 40), 'higher', 'wrong direction'),
    ((9, 7, 4), 'higher', 'responds'),
    ((10, 11, 9), 'lower', 'no response'),
    ((15, 20, 20.5), 'lower', 'saturates'),
    ((12, 20, 40), 'target:0', 'responds'),
    ((8, 4, 0), 'target:0', 'wrong direction'),
    ((-12, -20, -40), 'target:0', 'responds'),
  ],
)
def test_verdict(values, direction, verdict):
  assert judged(values, direction).verdict == verdict


def test_numbers():
  found = judged((12, 14, 16))
  np.testing.assert_allclose(found.z_scores, [2, 4, 6])
  np.testing.assert_allclose(found.worse, found.z_scores)
  np.testing.assert_allclose(
    found.percent_changes, [19.9, 39.8, 59.7], rtol=1e-2
  )
  assert found.slope == pytest.approx(2.0)
  assert found.slope_std_error == pytest.approx(0.0, abs=1e-12)


def test_density_shift_is_measured_from_a_half():
  for family, slope in (('density_shift', 0.193), ('gaussian', 0.0643)):
    found = judged(
      (18, 10.5, 10.4, 18.2), levels=(10, 40, 60, 90), family=family
    )
    assert found.verdict == 'responds'
    assert found.slope == pytest.approx(slope, rel=1e-2)
  assert verdicts.severity('density_shift', 10) == 40
  assert verdicts.severity('gaussian', 0.1) == 0.1


def test_what_differs_from_seed_to_seed_is_noise():
  change = np.array([[-1.0, 0.0], [-1.0, -1.0]])
  z = verdicts.z_scores(
    change, np.zeros((2, 2)), np.full(2, 0.1), np.array([1.0, 1.0])
  )
  np.testing.assert_allclose(z, [[-(2**0.5), 0], [-10, -10]])


def test_a_baseline_without_spread():
  z = verdicts.z_scores(
    np.array([[0.0], [-0.5], [-1.0]]),
    np.array([[0.0], [0.1], [0.0]]),
    np.array([0.0]),
    np.array([1.0]),
  )
  np.testing.assert_allclose(z[:, 0], [0, -5, -verdicts.LARGEST])
