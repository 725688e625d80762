import numpy as np
import pytest

from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics.vendi import ORDERS, rke, vendi_score
from tests import references


def features(random, m, d):
  scale = np.exp(-np.arange(d) / d * 2)
  return np.float32(random.standard_normal((m, d)) * scale + 0.3)


def values(found):
  return [each.value for each in found.values()]


def errors(found):
  return [each.std_error for each in found.values()]


@pytest.mark.parametrize(('m', 'd'), [(80, 12), (30, 90), (64, 64)])
def test_equals_reference_padded_and_sharded(random, mesh, m, d):
  y = features(random, m, d)
  rows = shard_rows(mesh, y)
  found = vendi_score(rows, std_error=True)
  np.testing.assert_allclose(values(found), references.vendi(y, ORDERS))
  plain = vendi_score(y, std_error=True)
  np.testing.assert_allclose(errors(found), errors(plain), rtol=1e-8)
  np.testing.assert_allclose(rke(rows).value, found[2.0].value)


@pytest.mark.parametrize('d', [6, 90])
def test_rows_of_zeros_are_like_each_other_alone(random, mesh, d):
  y = features(random, 40, d)
  y[:25] = 0
  axis = np.zeros((40, 1), np.float32)
  axis[:25] = 1
  expected = vendi_score(np.hstack([y, axis]), std_error=True)
  found = vendi_score(shard_rows(mesh, y), std_error=True)
  np.testing.assert_allclose(values(found), values(expected), rtol=1e-6)
  np.testing.assert_allclose(errors(found), errors(expected), rtol=1e-6)
  assert np.all(np.diff(values(found)) < 0)
  np.testing.assert_allclose(rke(y).value, found[2.0].value)


def test_of_zeros_alone_there_is_one():
  y = np.zeros((9, 4), np.float32)
  np.testing.assert_allclose(values(vendi_score(y)), 1)
  np.testing.assert_allclose(rke(y).value, 1)


def test_equals_vendi_score(random):
  vendi = pytest.importorskip('vendi_score.vendi')
  y = np.float64(features(random, 70, 20))
  for order in (0.5, 1, 2):
    theirs = vendi.score_dual(y, q=order, normalize=True)
    ours = vendi_score(y, orders=(order,))[order].value
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_counts_directions():
  axes = np.repeat(np.eye(6, 9), 5, axis=0)
  np.testing.assert_allclose(values(vendi_score(axes)), 6, rtol=1e-12)
  np.testing.assert_allclose(values(vendi_score(axes[:5])), 1, rtol=1e-12)


@pytest.mark.parametrize('shape', [(50, 8), (10, 30)])
def test_invariances(random, shape):
  y = features(random, *shape)
  expected = values(vendi_score(y))
  lengths = random.uniform(1, 3, (len(y), 1)).astype(np.float32)
  for same in (y[::-1], np.concatenate([y, y]), y * lengths):
    found = values(vendi_score(same))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_std_error_is_the_spread_over_draws(random):
  results = [
    vendi_score(features(random, 300, 12), std_error=True) for _ in range(60)
  ]
  spread = np.std([values(each) for each in results], axis=0, ddof=1)
  ratio = np.mean([errors(each) for each in results], axis=0) / spread
  assert np.all((0.7 < ratio) & (ratio < 1.4))


def test_bad_input():
  with pytest.raises(ValueError, match='orders must be positive'):
    vendi_score(np.ones((4, 4)), orders=(0.0,))
  with pytest.raises(ValueError, match='at least 2 images, got 1'):
    vendi_score(np.ones((1, 4)))
