import jax
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics import frechet_distance_infinity
from tests import references


def features(random, n, m, d):
  x = random.standard_normal((n, d))
  return np.float32(x), np.float32(random.standard_normal((m, d)) * 1.2 + 0.3)


@pytest.mark.parametrize(
  ('n', 'm', 'd', 'devices'),
  [(300, 400, 12, 1), (300, 400, 12, 4), (200, 90, 40, 2)],
)
def test_equals_reference_on_the_same_draws(random, n, m, d, devices):
  mesh = mesh_lib.data_mesh(jax.devices()[:devices])
  x, y = features(random, n, m, d)
  rows_x, rows_y = (shard_rows(mesh, f) for f in (x, y))
  found = frechet_distance_infinity(rows_x, rows_y, seed=3)
  value, slope = references.frechet_infinity(x, y, 15, 3)
  # The reference takes roots of rounding where a subset is small.
  np.testing.assert_allclose(found.value, value, rtol=1e-4)
  np.testing.assert_allclose(found.details['slope'], slope, rtol=1e-4)


def test_takes_out_the_bias(random):
  x, y = random.standard_normal((2, 2000, 30))
  found = frechet_distance_infinity(np.float32(x), np.float32(y[:600]))
  slope = found.details['slope']
  assert slope > 0
  assert abs(found.value) < 0.5 * slope / 600


def test_too_few_images_for_a_line():
  with pytest.raises(ValueError, match='15 sizes needs more than 9 generated'):
    frechet_distance_infinity(np.eye(9), np.eye(9))


@pytest.mark.parametrize('dtype', [np.int32, np.float16])
def test_features_of_few_digits_are_not_rounded_again(random, dtype):
  x, y = random.integers(-5, 6, (2, 80, 12)).astype(dtype)
  found, expected = (
    frechet_distance_infinity(*sets).value
    for sets in ((x, y), (np.float64(x), np.float64(y)))
  )
  np.testing.assert_allclose(found, expected, rtol=1e-5)
