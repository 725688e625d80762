import numpy as np
import pytest
from scipy.spatial.distance import cdist

from genmed_jax.metrics import (
  calibrated_coverage,
  clipped_coverage,
  clipped_density,
  neighbourhoods,
)
from tests import references
from tests.metrics.sets import features


@pytest.mark.parametrize('k', [1, 5])
def test_density_equals_reference(random, k):
  x, y = (np.float64(f) for f in features(random))
  found = clipped_density(neighbourhoods(x, y, k=k)).mean()
  expected = references.clipped_density(x, y, k)
  np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_real_images_are_as_dense_as_real_ones(random):
  x = random.standard_normal((60, 4))
  found = clipped_density(neighbourhoods(x, x))
  assert found.mean() >= 1  # An image lies in its own ball too.


@pytest.mark.parametrize('k', [1, 5])
def test_coverage_is_clipped_at_k(random, k):
  x, y = (np.float64(f) for f in features(random))
  found = clipped_coverage(neighbourhoods(x, y, k=k))
  held = (cdist(x, y) < references.radii(x, k)[:, None]).sum(axis=1)
  np.testing.assert_allclose(found, np.minimum(held, k) / k)


def test_calibrated_coverage_is_the_share_of_good_images(random):
  shares = []
  for _ in range(20):
    x, y = random.standard_normal((2, 150, 3))
    y[:60] += 1e3  # Nowhere near: 90 of 150 are good.
    covered = clipped_coverage(neighbourhoods(x, y)).mean()
    shares.append(calibrated_coverage(covered, 150, 150, 5))
  assert np.mean(shares) == pytest.approx(0.6, abs=0.03)


def test_calibrated_coverage_grows_from_zero_to_one_and_beyond():
  found = calibrated_coverage(np.linspace(0, 1, 2000), 200, 150, 5)
  assert found[0] == 0
  steps = np.diff(found)
  assert (steps >= 0).all()
  assert steps[1:].max() < 0.02
  assert 1.5 < found[-1] < 10
