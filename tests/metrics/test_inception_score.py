import numpy as np
import pytest

from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics import inception_score
from tests import references


@pytest.mark.parametrize(('n', 'splits'), [(203, 10), (50, 5), (20, 2)])
def test_equals_reference(random, mesh, n, splits):
  logits = np.float32(random.standard_normal((n, 17)) * 3)
  result = inception_score(shard_rows(mesh, logits), splits=splits)
  mean, std = references.inception_score(logits, splits, seed=2020)
  np.testing.assert_allclose(
    (result.value, result.details['split_std']), (mean, std)
  )


def test_bounds():
  certain = 1e4 * np.eye(12)
  result = inception_score(np.tile(certain, (24, 1)), splits=2)
  np.testing.assert_allclose(result.value, 12, rtol=0.05)
  same = inception_score(np.zeros((40, 12)), splits=2)
  np.testing.assert_allclose(same.value, 1.0)


def test_too_few_images():
  with pytest.raises(ValueError, match='10 splits need as many images, got 9'):
    inception_score(np.zeros((9, 4)))
