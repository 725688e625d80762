import numpy as np
import pytest
import scipy.ndimage

from genmed_jax.engine import filters


@pytest.mark.parametrize('sigma', [0.7, 2.0])
def test_blur_equals_scipy_away_from_edges(random, sigma):
  image = np.float32(random.random((40, 51)))
  blurred = filters.gaussian_blur(image, sigma)
  expected = scipy.ndimage.gaussian_filter(
    np.float64(image), sigma, truncate=8.0
  )
  inner = slice(12, -12)
  np.testing.assert_allclose(
    blurred[inner, inner], expected[inner, inner], atol=2e-6
  )
  flat = filters.gaussian_blur(np.ones((9, 7), np.float32), sigma)
  np.testing.assert_allclose(flat, 1.0, rtol=1e-6)


def test_depth_equals_scipy(random):
  mask = scipy.ndimage.gaussian_filter(random.standard_normal((40, 51)), 3) > 0
  mask = np.pad(mask, 5)
  expected = scipy.ndimage.distance_transform_edt(mask)
  depth = np.asarray(filters.depth_inside(mask, reach=4))
  np.testing.assert_allclose(
    depth, np.where(expected > 4, np.inf, expected), rtol=1e-6
  )


def test_gradient_of_a_plane():
  rows, columns = np.mgrid[:8, :9]
  slope = filters.gradient_magnitude(np.float32(3 * rows + 4 * columns))
  np.testing.assert_allclose(slope, 5.0, rtol=1e-6)
