import numpy as np
import pytest

from genmed_jax import mesh as mesh_lib
from genmed_jax.metrics import kid, polynomial_mmd
from genmed_jax.metrics.folds import fold_pairs
from tests import references


def features(random, n, m, d=24):
  x = random.standard_normal((n, d))
  return np.float32(x), np.float32(random.standard_normal((m, d)) * 1.1 + 0.2)


@pytest.mark.parametrize(('n', 'm'), [(50, 70), (2, 3), (130, 40)])
def test_whole_sets_equal_reference(random, n, m):
  x, y = features(random, n, m)
  np.testing.assert_allclose(
    polynomial_mmd(x, y).value, references.mmd(x, y), rtol=1e-10
  )


@pytest.mark.parametrize(
  ('n', 'm', 'subsets', 'size'),
  [(60, 50, 7, 20), (60, 50, 7, 50), (400, 300, 3, 20)],
  ids=['one pass', 'whole set', 'gathered'],
)
def test_subsets_equal_reference(random, mesh, n, m, subsets, size):
  x, y = features(random, n, m)
  rows_x, rows_y = (mesh_lib.shard_rows(mesh, f) for f in (x, y))
  result = kid(
    rows_x.values,
    rows_y.values,
    mask_x=rows_x.mask,
    mask_y=rows_y.mask,
    subsets=subsets,
    subset_size=size,
    seed=5,
  )
  mean, std = references.kid(x, y, subsets, size, seed=5)
  np.testing.assert_allclose(result.value, mean, rtol=1e-10)
  np.testing.assert_allclose(result.subset_std, std, rtol=1e-8, atol=1e-12)


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
    [ours.value, ours.subset_std],
    [theirs[peer.KEY_METRIC_KID_MEAN], theirs[peer.KEY_METRIC_KID_STD]],
    rtol=1e-5,
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
    rtol=1e-10,
  )


@pytest.mark.parametrize('tile', [7, 16, 1000])
def test_every_pair_is_shown_once_whatever_the_tile(random, mesh, tile):
  x, y = features(random, 37, 53)
  rows_x, rows_y = (mesh_lib.shard_rows(mesh, f) for f in (x, y))
  with mesh_lib.jax.enable_x64(True):
    to_x, to_y = fold_pairs(
      rows_x,
      rows_y,
      _add_products,
      row_state=mesh_lib.put_rows(rows_x, np.zeros(rows_x.mask.shape)),
      column_state=mesh_lib.put_rows(rows_y, np.zeros(rows_y.mask.shape)),
      tile=tile,
    )
  products = np.float64(x) @ np.float64(y).T
  np.testing.assert_allclose(np.asarray(to_x)[:37], products.sum(1))
  np.testing.assert_allclose(np.asarray(to_y)[:53], products.sum(0))


def _add_products(products, valid, row_info, column_info, to_row, to_column):
  del row_info, column_info
  products = products * valid
  return to_row + products.sum(1), to_column + products.sum(0)


def test_too_few_images():
  with pytest.raises(ValueError, match='at least 2 real images, got 1'):
    kid(np.zeros((1, 4)), np.zeros((5, 4)))
