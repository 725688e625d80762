import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.engine.rows import Rows
from genmed_jax.metrics import prdc, realism
from tests import references
from tests.metrics.sets import features, PAIRS


@pytest.mark.parametrize('name', PAIRS)
@pytest.mark.parametrize('k', [1, 5])
def test_counts_equal_reference(random, name, k):
  x, y = PAIRS[name](random)
  found = prdc(x, y, k=k)._asdict()
  for metric, expected in references.prdc(x, y, k).items():
    np.testing.assert_allclose(found[metric], expected, err_msg=metric)


@pytest.mark.parametrize(
  'name', ['plain', 'duplicates', 'wide', 'offset', 'outlier', 'far outlier']
)
@pytest.mark.parametrize('k', [1, 5])
def test_realism_equals_reference(random, name, k):
  x, y = PAIRS[name](random)
  expected = references.realism(x, y, k)
  np.testing.assert_allclose(realism(x, y, k=k), expected, rtol=1e-7)
  if name == 'duplicates' and k == 1:
    assert np.isinf(expected).any()


@pytest.mark.parametrize('name', ['plain', 'duplicates', 'wide'])
def test_equals_the_prdc_package(random, name):
  peer = pytest.importorskip('prdc')
  x, y = PAIRS[name](random)
  theirs = peer.compute_prdc(x, y, 5)
  for metric, scores in prdc(x, y, k=5)._asdict().items():
    np.testing.assert_allclose(scores.mean(), theirs[metric], err_msg=metric)


def test_masked_rows_anywhere_are_as_if_absent(random):
  x, y = features(random)
  keep_x, keep_y = random.random(len(x)) < 0.6, random.random(len(y)) < 0.6
  masked = prdc(
    Rows(jnp.asarray(x), jnp.asarray(keep_x)),
    Rows(jnp.asarray(y), jnp.asarray(keep_y)),
  )._asdict()
  for metric, expected in references.prdc(x[keep_x], y[keep_y], 5).items():
    np.testing.assert_allclose(masked[metric], expected, err_msg=metric)


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
