import jax
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.distances import pair_distances
from genmed_jax.engine.rows import shard_rows, spread_rows


@pytest.fixture(params=[1, 2, 3, 4], ids='{}dev'.format)
def ring(request):
  return mesh_lib.data_mesh(jax.devices()[: request.param])


def test_distances_of_chosen_pairs(random, ring):
  x, y = np.float32(random.standard_normal((2, 30, 6)))
  x, y = x[:21], np.concatenate([y, x[:2] + np.float32(1e-6)])
  partners = random.integers(0, 30, (21, 3)).astype(np.int32)
  partners[:2, 0] = 30, 31
  with jax.enable_x64(True):
    rows_x, rows_y = (shard_rows(ring, f) for f in (x, y))
    found = pair_distances(rows_x, rows_y, spread_rows(rows_x, partners))
  expected = cdist(np.float64(x), np.float64(y), 'sqeuclidean')
  expected = np.take_along_axis(expected, partners, 1)
  np.testing.assert_allclose(np.asarray(found)[:21], expected, rtol=1e-12)
