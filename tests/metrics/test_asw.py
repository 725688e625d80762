import numpy as np
import pytest
import scipy.stats

from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics import approximate_sliced_wasserstein
from tests import references


def features(random, n=90, m=70, d=16):
  x = random.standard_normal((n, d))
  return np.float32(x), np.float32(random.standard_normal((m, d)) * 1.3 + 0.2)


def test_equals_reference_padded_and_sharded(random, mesh):
  x, y = features(random)
  rows_x, rows_y = (shard_rows(mesh, f) for f in (x, y))
  result = approximate_sliced_wasserstein(rows_x, rows_y, std_error=True)
  np.testing.assert_allclose(
    result.value, references.sliced_wasserstein(x, y), rtol=1e-10
  )
  plain = approximate_sliced_wasserstein(x, y, std_error=True)
  np.testing.assert_allclose(result[:2], plain[:2], rtol=1e-10)


def test_invariances(random):
  x, y = (np.float64(f) for f in features(random))
  value = approximate_sliced_wasserstein(x, y).value
  rotation = scipy.stats.ortho_group.rvs(16, random_state=1)
  np.testing.assert_allclose(
    [
      approximate_sliced_wasserstein(y, x[::-1]).value,
      approximate_sliced_wasserstein(x @ rotation, y @ rotation).value,
      approximate_sliced_wasserstein(x + 1e4, y + 1e4).value,
      approximate_sliced_wasserstein(3 * x, 3 * y).value / 3,
    ],
    value,
    rtol=1e-8,
  )
  equal = approximate_sliced_wasserstein(x, x, std_error=True)
  assert equal[:2] == (0.0, 0.0)


def test_constant_features():
  x = np.ones((5, 4))
  found = approximate_sliced_wasserstein(x, 3 * x, std_error=True)
  assert found[:2] == (2.0, 0.0)


def test_std_error_is_the_spread_over_draws(random):
  sets = (features(random, 200, 150) for _ in range(60))
  results = [
    approximate_sliced_wasserstein(*pair, std_error=True)[:2] for pair in sets
  ]
  values, errors = np.array(results).T
  assert 0.7 < errors.mean() / values.std(ddof=1) < 1.5


def test_bad_shapes():
  with pytest.raises(ValueError, match='widths differ'):
    approximate_sliced_wasserstein(np.ones((4, 4)), np.ones((4, 5)))
