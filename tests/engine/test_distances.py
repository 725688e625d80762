import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from genmed_jax.engine.distances import (
  pair_distances,
  pair_info,
  squared_distances,
)
from genmed_jax.engine.mesh import ROWS
from genmed_jax.engine.program import program
from genmed_jax.engine.rows import shard_rows, spread_rows

pytestmark = pytest.mark.usefixtures('x64')


@program(out=ROWS)
def distances_of_chosen(rows, context):
  del context
  return pair_distances(*rows)


@program(out=ROWS)
def known_of_rows(x, origin):
  return pair_info(x, origin)


def test_distances_of_chosen_pairs(random, ring):
  x, y = np.float32(random.standard_normal((2, 30, 6)))
  x, y = x[:21], np.concatenate([y, x[:2] + np.float32(1e-6)])
  partners = random.integers(0, 30, (21, 3))
  partners[:2, 0] = 30, 31
  rows_x, rows_y = (shard_rows(ring, f) for f in (x, y))
  mask_x, mask_y = (np.asarray(rows.mask) for rows in (rows_x, rows_y))
  places = np.flatnonzero(mask_y).astype(np.int32)[partners]
  found = distances_of_chosen((rows_x, rows_y, spread_rows(rows_x, places)))
  expected = cdist(np.float64(x), np.float64(y), 'sqeuclidean')
  expected = np.take_along_axis(expected, partners, 1)
  np.testing.assert_allclose(np.asarray(found)[mask_x], expected, rtol=1e-12)


def test_rows_know_their_place_and_norm(random, ring, lay):
  x = np.float32(random.standard_normal((24, 6)))
  origin = random.standard_normal(6)
  found = known_of_rows(lay(ring, x, np.ones(24, bool)), origin)
  np.testing.assert_array_equal(found['index'], np.arange(24))
  norm = np.sum((x - origin) ** 2, axis=1)
  np.testing.assert_allclose(found['norm'], norm, rtol=1e-12)


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_distances_are_as_close_as_they_say(random, dtype, axis):
  x, y = random.standard_normal((2, 40, 9))
  y[:3], valid = x[:3], random.random((40, 40)) < 0.8
  info = [
    {'norm': norm, 'rounding': 32 * norm}
    for norm in (np.sum(side**2, axis=1) for side in (x, y))
  ]
  products = jnp.asarray(dtype(x) @ dtype(y).T)
  known = info if axis else info[::-1]
  squared, slack = map(
    np.asarray, squared_distances(products, valid, *known, axis)
  )
  error = np.abs(squared - cdist(x, y, 'sqeuclidean'))
  assert (error <= slack)[valid].all()
  assert np.isinf(squared[~valid]).all()
  copies = np.eye(40, dtype=bool) & (np.arange(40) < 3) & valid
  assert copies.any()
  assert not squared[copies].any()
