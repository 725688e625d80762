import functools

import jax
import numpy as np
import pytest

from genmed_jax import metrics
from genmed_jax.engine.mesh import as_rows
from genmed_jax.engine.rows import check_features


def inception_score(x, y, mask_x=None, mask_y=None):
  del x, mask_x
  return metrics.inception_score(y, mask=mask_y).value


def vendi_score(x, y, mask_x=None, mask_y=None):
  del x, mask_x
  return metrics.vendi_score(y, mask=mask_y).value


METRICS = [
  metrics.frechet_distance,
  metrics.kid,
  metrics.gaussian_mmd,
  metrics.cmmd,
  metrics.approximate_sliced_wasserstein,
  metrics.sliced_distances,
  metrics.prdc,
  inception_score,
  vendi_score,
]


@pytest.mark.parametrize(
  ('spoil', 'complaint'),
  [
    (lambda x: x[:, 0], r'must be \[n, d\], not \(6,\)'),
    (lambda x: x[:, :2], r'widths differ: 3 \(real\) and 2 \(generated\)'),
    (lambda x: x[:1], 'at least 2 generated images, got 1'),
    (lambda x: np.where(x == x[4, 1], np.nan, x), 'generated features are not'),
    (lambda x: np.where(x == x[4, 1], np.inf, x), 'generated features are not'),
  ],
)
def test_features_that_no_metric_takes(random, spoil, complaint):
  x, y = random.standard_normal((2, 6, 3)).astype(np.float32)
  with pytest.raises(ValueError, match=complaint):
    check_features(as_rows(x), as_rows(spoil(y)))


@pytest.mark.parametrize('metric', METRICS)
def test_rows_that_do_not_count_may_hold_anything(random, metric):
  x, y = random.standard_normal((2, 40, 5)).astype(np.float32)
  count_x, count_y = random.random((2, 40)) < 0.7
  x[~count_x], y[~count_y] = np.nan, np.inf
  found = metric(x, y, mask_x=count_x, mask_y=count_y)
  expected = metric(x[count_x], y[count_y])
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=1e-6), found, expected
  )


@pytest.mark.parametrize('metric', METRICS)
def test_half_precision_loses_nothing_more(random, metric):
  # Their squares are beyond half precision.
  x, y = (300 * random.standard_normal((2, 40, 5))).astype(np.float16)
  found, expected = metric(x, y), metric(np.float32(x), np.float32(y))
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=1e-6), found, expected
  )
