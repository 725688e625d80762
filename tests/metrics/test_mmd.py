import numpy as np
import pytest

from genmed_jax import metrics
from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics import cmmd, gaussian_mmd, polynomial_mmd
from tests import references
from tests.metrics.sets import feature_set


def features(random, n, m, d=24):
  x = random.standard_normal((n, d))
  return np.float32(x), np.float32(random.standard_normal((m, d)) * 1.1 + 0.2)


@pytest.mark.parametrize(('n', 'm'), [(50, 70), (2, 3), (130, 40)])
def test_whole_sets_equal_reference(random, n, m):
  x, y = features(random, n, m)
  np.testing.assert_allclose(
    polynomial_mmd(x, y).value, references.mmd(x, y), rtol=1e-5
  )


def test_std_error_is_the_spread_over_draws(random):
  results = [polynomial_mmd(*features(random, 150, 100)) for _ in range(60)]
  values = [r.value for r in results]
  errors = [r.std_error for r in results]
  assert 0.7 < np.mean(errors) / np.std(values, ddof=1) < 1.6


def test_row_order_does_not_matter(random):
  x, y = features(random, 50, 40)
  np.testing.assert_allclose(
    polynomial_mmd(x[::-1], random.permutation(y)).value,
    polynomial_mmd(x, y).value,
    rtol=1e-5,
  )


@pytest.mark.parametrize('bandwidth', [2.0, 7.0])
def test_gaussian_equals_reference(random, mesh, bandwidth):
  x, y = features(random, 70, 50)
  rows_x, rows_y = (shard_rows(mesh, f) for f in (x, y))
  found = gaussian_mmd(rows_x, rows_y, bandwidth=bandwidth)
  expected = references.gaussian_mmd(x, y, bandwidth)
  np.testing.assert_allclose(found.value, expected, rtol=1e-5)


def test_cmmd_is_the_biased_form_of_unit_rows(random):
  x, y = features(random, 70, 50)
  unit = [f / np.linalg.norm(f, axis=1, keepdims=True) for f in (x, y)]
  expected = 1000 * references.gaussian_mmd(*unit, 10.0, biased=True)
  np.testing.assert_allclose(cmmd(x, y).value, expected, rtol=1e-5)


def test_cmmd_keeps_its_digits_beside_an_offset_and_zeros(random):
  x, y = features(random, 70, 50)
  x[3], y[:2] = 0, 0
  for by in (0, 100):
    sets = x + np.float32(by), y + np.float32(by)
    unit = [np.float64(f) for f in sets]
    for f in unit:
      lengths = np.linalg.norm(f, axis=1, keepdims=True)
      f /= np.where(lengths > 0, lengths, 1)
    expected = 1000 * references.gaussian_mmd(*unit, 10.0, biased=True)
    np.testing.assert_allclose(cmmd(*sets).value, expected, rtol=1e-3)


def test_mmd_rbf10_is_cmmd_of_the_features(random):
  x, y = features(random, 70, 50)
  compared = metrics.Comparison(feature_set(x), feature_set(y))
  found, expected = metrics.score('mmd_rbf10', compared), cmmd(x, y)
  np.testing.assert_allclose(found.value, expected.value, rtol=1e-5)
  error = found.interval.std_error
  np.testing.assert_allclose(error, expected.std_error, rtol=1e-5)


def test_offset_costs_no_digits_of_the_polynomial_kernel(random):
  # The kernel's values grow by 2**36; what the offset adds to MMD² is known.
  x, y = (
    np.round(f, 3).astype(np.float64) + 2.0**12
    for f in features(random, 60, 50)
  )
  np.testing.assert_allclose(
    polynomial_mmd(x, y).value, references.mmd(x, y), rtol=1e-3
  )


@pytest.mark.parametrize('bandwidth', [0.0, -1.0, np.inf])
def test_bad_bandwidth(random, bandwidth):
  with pytest.raises(ValueError, match=f'positive, not {bandwidth}'):
    gaussian_mmd(*features(random, 9, 9), bandwidth=bandwidth)
