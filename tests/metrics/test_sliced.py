import numpy as np
import pytest
import scipy.stats

from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics import sliced_distances


def features(random, n, m, d=8):
  x = random.standard_normal((n, d))
  return np.float32(x), np.float32(random.standard_normal((m, d)) * 1.2 + 0.4)


def by_quantiles(x, y, order):
  """Dense quantiles stand for the optimal plan in one dimension."""
  u = (np.arange(200_000) + 0.5) / 200_000
  q = [np.sort(v)[(u * len(v)).astype(int)] for v in (x, y)]
  return np.mean(np.abs(q[0] - q[1]) ** order)


@pytest.mark.parametrize(('n', 'm'), [(60, 60), (60, 45), (7, 64)])
def test_equals_reference_padded_and_sharded(random, mesh, n, m):
  x, y = features(random, n, m)
  rows_x, rows_y = (shard_rows(mesh, f) for f in (x, y))
  found = sliced_distances(rows_x, rows_y, projections=20, seed=1)
  directions = np.random.default_rng(1).standard_normal((20, 8), np.float32)
  directions /= np.linalg.norm(directions, axis=1, keepdims=True)
  lines = [(directions @ f.T).astype(np.float64) for f in (x, y)]
  first = np.mean(
    [scipy.stats.wasserstein_distance(*pair) for pair in zip(*lines)]  # noqa: B905
  )
  second = np.mean([by_quantiles(*pair, 2) for pair in zip(*lines)])  # noqa: B905
  np.testing.assert_allclose(found.sw1.value, first, rtol=1e-5)
  np.testing.assert_allclose(found.sw2.value, np.sqrt(second), rtol=1e-4)
  np.testing.assert_allclose(found.mind.value, 3 * 8 * second, rtol=1e-4)


def test_one_dimension_is_exact(random):
  x, y = random.random((2, 30, 1))
  found = sliced_distances(x, y, projections=3)
  expected = scipy.stats.wasserstein_distance(x[:, 0], y[:, 0])
  np.testing.assert_allclose(found.sw1.value, expected, rtol=1e-6)


def test_invariances(random):
  x, y = features(random, 50, 40)

  def values(x, y):
    found = sliced_distances(x, y, projections=50)
    return np.array([each.value for each in found])

  found = values(x, y)
  permuted = values(x[::-1], random.permutation(y))
  np.testing.assert_allclose(permuted, found, rtol=1e-6)
  np.testing.assert_allclose(values(y, x), found, rtol=1e-6)
  np.testing.assert_allclose(values(4 * x, 4 * y), found * (4, 4, 16))
  assert not np.any(values(x, x))


@pytest.mark.parametrize('offset', [1e6, 1e8, 1e12])
def test_an_offset_costs_no_digits(random, offset):
  x, y = random.standard_normal((2, 60, 8))
  at_origin = sliced_distances(x, y, projections=50)
  far_away = sliced_distances(x + offset, y + offset, projections=50)
  for found, expected in zip(far_away, at_origin, strict=True):
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-3)


def test_std_error_is_the_spread_over_draws(random):
  results = [
    sliced_distances(*features(random, 150, 120), projections=100, seed=seed)
    for seed in range(40)
  ]
  pairs = [[each[:2] for each in found] for found in results]
  values, errors = np.moveaxis(np.array(pairs), -1, 0)
  ratio = errors.mean(0) / values.std(0, ddof=1)
  assert np.all((ratio > 0.7) & (ratio < 1.6))


def test_values_are_the_same_without_errors(random):
  x, y = random.standard_normal((2, 40, 6))
  both = sliced_distances(x, y[:30], projections=20)
  alone = sliced_distances(x, y[:30], projections=20, std_error=False)
  for one, other in zip(both, alone, strict=True):
    assert one.std_error > 0
    assert other.std_error is None
    assert other.value == pytest.approx(one.value, rel=1e-6)
