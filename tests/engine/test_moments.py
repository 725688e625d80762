import jax
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine import moments as moments_lib
from genmed_jax.engine.moments import moments
from genmed_jax.engine.rows import as_rows, shard_rows


def features(random, n=300, d=37):
  return np.float32(random.standard_normal((n, d)) @ random.random((d, d)))


@pytest.mark.parametrize('d', [1, 3, 37])
def test_equal_numpy_padded_and_sharded(random, mesh, d):
  x = features(random, 101, d)
  with jax.enable_x64(True):
    found = moments(shard_rows(mesh, x))
  assert found.count == 101
  np.testing.assert_allclose(found.mean, np.float64(x).mean(0), rtol=1e-12)
  np.testing.assert_allclose(
    found.covariance, np.atleast_2d(np.cov(np.float64(x).T)), rtol=1e-10
  )


# Each about its own mean where no centre is given.
@pytest.mark.parametrize('centres', [(0, 0, 0), (0, 1, 2), (None, None, None)])
def test_parts_add_up_and_subtract(random, mesh, centres):
  x = features(random)
  with jax.enable_x64(True):
    whole, one, other = (
      moments(
        shard_rows(mesh, part),
        centre=None if row is None else np.float64(x[row]),
      )
      for row, part in zip(centres, (x, x[:120], x[120:]), strict=True)
    )
  for found, expected in ((one + other, whole), (whole - one, other)):
    assert found.count == expected.count
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-9)
    np.testing.assert_allclose(
      found.covariance, expected.covariance, rtol=1e-8, atol=1e-8
    )


def test_the_centre_moves(random):
  x = features(random)
  with jax.enable_x64(True):
    rows = as_rows(x)
    found = moments(rows).about(np.float64(x[0]))
    expected = moments(rows, centre=np.float64(x[0]))
  assert found.count == 300
  np.testing.assert_array_equal(found.centre, expected.centre)
  np.testing.assert_allclose(found.total, expected.total, rtol=1e-9)
  np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-9)
  assert found.about(found.centre) is found


def test_float32_products_keep_their_digits(random):
  x = features(random, 5000) + np.float32(1e3)
  with jax.enable_x64(True):
    rows = as_rows(x)
    exact, found = (
      moments(rows, dtype=dtype).covariance
      for dtype in (np.float64, np.float32)
    )
  assert 0 < np.abs(found - exact).max() < 1e-6 * np.abs(exact).max()


def test_no_device_gathers_the_set():
  with jax.enable_x64(True):
    rows = shard_rows(mesh_lib.data_mesh(), np.zeros((4000, 64)))
    lowered = moments_lib._row_statistics.lower(mesh_lib.data_mesh(), rows)
    analysis = lowered.compile().memory_analysis()
  assert rows.values.sharding.num_devices == 4
  assert analysis.temp_size_in_bytes < rows.values.nbytes / 4
