import functools

import jax
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.metrics import authenticity, neighbourhoods, prdc, realism
from tests import references


def features(random, n=113, m=134, d=12):
  x = random.standard_normal((n, d))
  return np.float32(x), np.float32(random.standard_normal((m, d)) * 0.9 + 0.2)


def with_duplicates(random):
  """Sets that repeat themselves and each other, nearest neighbours too."""
  x, y = features(random, 90, 70)
  x = np.concatenate([x, x[:9], x[:9], y[:5]])
  return x, np.concatenate([y, x[:30], x[:10], y[:8], y[:8], y[:8]])


SETS = {
  'plain': features,
  'duplicates': with_duplicates,
  'wide': lambda random: features(random, 30, 20, 200),
  'one feature': lambda random: features(random, d=1),
  'offset': lambda random: tuple(
    np.round(f, 3) + np.float32(2.0**13) for f in features(random)
  ),
  'repeated': lambda random: (
    np.repeat(features(random)[0][:1], 113, axis=0),
    features(random)[1],
  ),
}


@pytest.mark.parametrize('name', SETS)
@pytest.mark.parametrize('k', [1, 5])
def test_prdc_counts_equal_reference(random, name, k):
  x, y = SETS[name](random)
  found = prdc(x, y, k=k)._asdict()
  for metric, expected in references.prdc(x, y, k).items():
    np.testing.assert_allclose(found[metric], expected, err_msg=metric)


@pytest.mark.parametrize('name', SETS)
def test_authenticity_equals_reference(random, name):
  x, y = SETS[name](random)
  np.testing.assert_array_equal(authenticity(x, y), references.authentic(x, y))


@pytest.mark.parametrize('name', ['plain', 'duplicates', 'wide', 'offset'])
@pytest.mark.parametrize('k', [1, 5])
def test_realism_equals_reference(random, name, k):
  x, y = SETS[name](random)
  expected = references.realism(x, y, k)
  np.testing.assert_allclose(realism(x, y, k=k), expected, rtol=1e-7)
  if name == 'duplicates' and k == 1:
    assert np.isinf(expected).any()


@pytest.mark.parametrize('name', ['plain', 'duplicates', 'wide'])
def test_prdc_equals_the_prdc_package(random, name):
  peer = pytest.importorskip('prdc')
  x, y = SETS[name](random)
  theirs = peer.compute_prdc(x, y, 5)
  for metric, scores in prdc(x, y, k=5)._asdict().items():
    np.testing.assert_allclose(scores.mean(), theirs[metric], err_msg=metric)


def test_padded_and_sharded_equal_plain(random, mesh):
  x, y = with_duplicates(random)
  plain = neighbourhoods(x, y)
  rows_x, rows_y = (mesh_lib.shard_rows(mesh, f) for f in (x, y))
  sharded = neighbourhoods(
    rows_x.values, rows_y.values, mask_x=rows_x.mask, mask_y=rows_y.mask
  )
  for name, ours in sharded._asdict().items():
    theirs = getattr(plain, name)
    jax.tree.map(
      functools.partial(np.testing.assert_allclose, rtol=1e-12), ours, theirs
    )


def test_masked_rows_anywhere_are_as_if_absent(random):
  x, y = features(random)
  keep_x, keep_y = random.random(len(x)) < 0.6, random.random(len(y)) < 0.6
  masked = prdc(x, y, mask_x=keep_x, mask_y=keep_y)._asdict()
  for metric, expected in references.prdc(x[keep_x], y[keep_y], 5).items():
    np.testing.assert_allclose(masked[metric], expected, err_msg=metric)


def test_copies_are_at_distance_zero_and_never_authentic(random):
  x, _ = features(random)
  found = neighbourhoods(x, x[5:25]).nearest_real
  assert np.all(found.squared == 0)
  np.testing.assert_array_equal(found.index[:, 0], np.arange(5, 25))
  assert not authenticity(x, x[5:25]).any()


def test_equal_sets_have_full_recall(random):
  x, _ = features(random)
  scores = prdc(x, x)
  assert scores.precision.all()
  assert scores.recall.all()
  assert scores.coverage.all()


def test_needs_more_than_k_images(random):
  x, y = features(random)
  with pytest.raises(ValueError, match='at least 6 generated images, got 5'):
    prdc(x, y[:5])
  with pytest.raises(ValueError, match='widths differ'):
    prdc(x, y[:, :3])
