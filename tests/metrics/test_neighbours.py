import functools

import jax
import numpy as np
import pytest

from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics import neighbourhoods
from tests.metrics.sets import features, with_duplicates


def test_padded_and_sharded_equal_plain(random, mesh):
  x, y = with_duplicates(random)
  plain = neighbourhoods(x, y)
  sharded = neighbourhoods(*(shard_rows(mesh, f) for f in (x, y)))
  for name, ours in sharded._asdict().items():
    theirs = getattr(plain, name)
    jax.tree.map(
      functools.partial(np.testing.assert_allclose, rtol=1e-12), ours, theirs
    )


def test_copies_are_at_distance_zero(random):
  x, _ = features(random)
  found = neighbourhoods(x, x[5:25]).nearest_real
  assert np.all(found.squared == 0)
  np.testing.assert_array_equal(found.index[:, 0], np.arange(5, 25))


@pytest.mark.parametrize('options', [{'k': 7}, {'k': 1, 'realism_k': 7}])
def test_needs_more_images_than_neighbours(random, options):
  x, y = features(random)
  with pytest.raises(ValueError, match='at least 8 generated images, got 7'):
    neighbourhoods(x, y[:7], **options)
  with pytest.raises(ValueError, match='at least 8 real images, got 7'):
    neighbourhoods(x[:7], y, **options)
