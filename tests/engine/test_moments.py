import jax
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.moments import moments


def features(random, n=300, d=37):
  return np.float32(random.standard_normal((n, d)) @ random.random((d, d)))


@pytest.mark.parametrize('d', [1, 3, 37])
def test_equal_numpy_padded_and_sharded(random, mesh, d):
  x = features(random, 101, d)
  with jax.enable_x64(True):
    found = moments(mesh_lib.shard_rows(mesh, x))
  assert found.count == 101
  np.testing.assert_allclose(found.mean, np.float64(x).mean(0), rtol=1e-12)
  np.testing.assert_allclose(
    found.covariance, np.atleast_2d(np.cov(np.float64(x).T)), rtol=1e-10
  )


def test_parts_add_up_and_subtract(random, mesh):
  x = features(random)
  with jax.enable_x64(True):
    whole, one, other = (
      moments(mesh_lib.shard_rows(mesh, part), centre=np.float64(x[0]))
      for part in (x, x[:120], x[120:])
    )
  for found, expected in ((one + other, whole), (whole - one, other)):
    assert found.count == expected.count
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-9)
    np.testing.assert_allclose(
      found.covariance, expected.covariance, rtol=1e-8, atol=1e-8
    )


def test_moments_about_different_centres_do_not_add_up(random):
  with jax.enable_x64(True):
    rows = mesh_lib.as_rows(features(random))
    one, other = moments(rows), moments(rows, centre=np.zeros(37))
  with pytest.raises(ValueError, match='different centres'):
    one + other


def test_float32_products_keep_their_digits(random):
  x = features(random, 5000) + np.float32(1e3)
  with jax.enable_x64(True):
    rows = mesh_lib.as_rows(x)
    exact, found = (
      moments(rows, dtype=dtype).covariance
      for dtype in (np.float64, np.float32)
    )
  assert 0 < np.abs(found - exact).max() < 1e-6 * np.abs(exact).max()
