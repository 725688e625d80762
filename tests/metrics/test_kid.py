import importlib

import numpy as np
import pytest
import scipy.spatial

from genmed_jax import metrics
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.mesh import data_mesh
from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics import gaussian_mmd, polynomial_mmd, splits
from genmed_jax.metrics.kernel_discrepancies import all_discrepancies
from genmed_jax.metrics.kid import kid
from tests import references


def features(random, n, m, d=24):
  x = random.standard_normal((n, d))
  return np.float32(x), np.float32(random.standard_normal((m, d)) * 1.1 + 0.2)


@pytest.mark.parametrize(
  ('n', 'm', 'subsets', 'size'),
  [(60, 50, 7, 25), (60, 50, 7, 50), (400, 300, 3, 21)],
  ids=['one pass', 'whole set', 'gathered'],
)
def test_subsets_equal_reference(random, mesh, n, m, subsets, size):
  x, y = features(random, n, m)
  rows_x, rows_y = (shard_rows(mesh, f) for f in (x, y))
  result = kid(rows_x, rows_y, subsets=subsets, subset_size=size, seed=5)
  mean, std = references.kid(x, y, subsets, size, seed=5)
  np.testing.assert_allclose(result.value, mean, rtol=1e-5)
  np.testing.assert_allclose(
    result.details['subset_std'], std, rtol=1e-4, atol=1e-9
  )


def test_equals_torch_fidelity(random):
  torch = pytest.importorskip('torch')
  peer = pytest.importorskip('torch_fidelity.metric_kid')
  x, y = features(random, 120, 90)
  theirs = peer.kid_features_to_metric(
    torch.from_numpy(x),
    torch.from_numpy(y),
    kid_subsets=10,
    kid_subset_size=80,
    rng_seed=2020,
    verbose=False,
  )
  ours = kid(x, y, subsets=10, subset_size=80)
  np.testing.assert_allclose(
    [ours.value, ours.details['subset_std']],
    [theirs[peer.KEY_METRIC_KID_MEAN], theirs[peer.KEY_METRIC_KID_STD]],
    rtol=1e-5,
  )


@pytest.mark.parametrize(
  ('n', 'm', 'subsets'),
  [(60, 50, 3), (1500, 1200, 1)],
  ids=['one pass', 'gathered'],
)
def test_all_at_once_equal_each_alone(random, monkeypatch, n, m, subsets):
  # The package's own attribute is the function of this name.
  module = importlib.import_module('genmed_jax.metrics.kernel_discrepancies')
  monkeypatch.setattr(module, 'SUBSETS', subsets)
  x, y = features(random, n, m)
  found = all_discrepancies(x, y, seed=5)
  alone = (
    kid(x, y, subsets=subsets, seed=5),
    polynomial_mmd(x, y),
    gaussian_mmd(x, y, bandwidth=found.bandwidth),
  )
  for together, expected in zip(found[:3], alone, strict=True):
    np.testing.assert_allclose(together[:2], expected[:2], rtol=1e-5)


@pytest.mark.parametrize(
  ('n', 'largest'), [(61, 30), (400, 20)], ids=['one pass', 'part by part']
)
def test_parts_of_whole_subjects_are_as_each_alone(
  random, monkeypatch, n, largest
):
  """Subjects of four images leave parts of unlike sizes."""
  monkeypatch.setattr(splits, 'SPLITS', 3)
  monkeypatch.setattr(splits, '_LARGEST_PART', largest)
  x, y = (
    LocalFeatures(data_mesh(), side, subjects=np.arange(n) // 4)
    for side in features(random, n, n)
  )
  parts = np.ravel(splits.parts(metrics.Comparison(x, y)))
  assert n > 61 or len({part.counts for part in parts}) > 1
  for part in parts:
    alone = polynomial_mmd(part.reference.to_host(), part.generated.to_host())
    found = metrics.METRICS['mmd_poly'].measure(part)
    assert found.value == pytest.approx(alone.value, rel=1e-4, abs=1e-7)


def test_bandwidth_is_the_median_distance_of_real_images(random):
  x, y = features(random, 50, 40)
  expected = np.median(scipy.spatial.distance.pdist(x))
  np.testing.assert_allclose(
    all_discrepancies(x, y).bandwidth, expected, rtol=1e-6
  )


def test_too_few_images():
  with pytest.raises(ValueError, match='at least 2 real images, got 1'):
    kid(np.zeros((1, 4)), np.zeros((5, 4)))
