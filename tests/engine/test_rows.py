import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.rows import (
  as_rows,
  fold_rows,
  gather,
  host_rows,
  map_rows,
  padded_size,
  Rows,
  shard_rows,
  spread_rows,
  take_rows,
)


@pytest.mark.parametrize(
  ('count', 'size'),
  [
    (0, 1000),
    (1, 1000),
    (1000, 1000),
    (1001, 4000),
    (4000, 4000),
    (4001, 16000),
    (16000, 16000),
    (16001, 16001),
    (50000, 50000),
  ],
)
def test_sizes_are_few_up_to_sets_that_are_not_padded(count, size):
  assert padded_size(count) == size


# Of the last, one device has a row less where there are more devices.
@pytest.mark.parametrize('n', [0, 1, 5, 8, 1003, 64007])
def test_each_device_has_an_equal_share_then_padding(mesh, n):
  devices = mesh.devices.size
  local = np.arange(1, 2 * n + 1, dtype=np.float32).reshape(n, 2)
  rows = shard_rows(mesh, local)
  size = padded_size(-(-n // devices))
  assert rows.values.shape == (devices * size, 2)
  counts, joined = [], []
  for values, mask in zip(
    *(side.addressable_shards for side in rows), strict=True
  ):
    assert values.device == mask.device == mesh.devices[len(counts)]
    values, mask = np.asarray(values.data), np.asarray(mask.data)
    counts.append(mask.sum())
    joined.append(values[: counts[-1]])
    assert len(values) == len(mask) == size
    assert mask[: counts[-1]].all()
    assert not values[counts[-1] :].any()
  assert max(counts) - min(counts) <= 1
  np.testing.assert_array_equal(np.concatenate(joined), local)
  np.testing.assert_array_equal(host_rows(*rows), local)
  np.testing.assert_array_equal(gather(mesh, local), local)


def test_rows_taken_anew(mesh, random):
  local = random.standard_normal((10, 3)).astype(np.float32)
  rows = shard_rows(mesh, local)
  chosen = np.array([7, 2, 2, 0, 9, 8, 1, 3, 5])
  taken = take_rows(rows, np.flatnonzero(np.asarray(rows.mask))[chosen])
  np.testing.assert_array_equal(host_rows(*taken), local[chosen])
  assert taken.values.shape == (1000 * mesh.devices.size, 3)
  expected = shard_rows(mesh, local[chosen])
  np.testing.assert_array_equal(taken.mask, expected.mask)
  assert mesh_lib.mesh_of(taken.values) == mesh


def test_many_rows_taken_of_few(mesh):
  rows = shard_rows(mesh, np.arange(3, dtype=np.float32)[:, None])
  places = np.flatnonzero(np.asarray(rows.mask))[np.arange(4001) % 3]
  taken = take_rows(rows, places)
  assert len(taken.mask) == (16000 if mesh.devices.size == 1 else 4 * 4000)
  found = host_rows(*taken)[:, 0]
  np.testing.assert_array_equal(found, np.arange(4001) % 3)


def test_arrays_are_rows_too(random, mesh):
  values = np.float32(random.standard_normal((8, 2)))
  padded = as_rows(values)
  assert padded.values.shape == (1000, 2)
  np.testing.assert_array_equal(host_rows(*padded), values)
  for given in (jnp.asarray(values), mesh_lib.to_mesh(mesh, values)):
    rows = as_rows(given)
    assert rows.values is given
    assert rows.mask.shape == (8,)
    assert rows.mask.all()
    assert mesh_lib.mesh_of(rows.mask) == mesh_lib.mesh_of(given)
  assert mesh_lib.mesh_of(given) == mesh


def test_unsharded_arrays_are_rows_too():
  rows = as_rows(jnp.ones((5, 2)))
  assert rows.mask.all()
  assert mesh_lib.mesh_of(rows.values).devices.size == 1


def test_values_are_laid_beside_the_rows_that_count(random):
  mask = random.random(12) < 0.6
  rows = Rows(jnp.zeros((12, 2)), jnp.asarray(mask))
  values = np.float32(random.standard_normal((mask.sum(), 3)))
  spread = spread_rows(rows, values)
  assert isinstance(spread, np.ndarray)
  np.testing.assert_array_equal(spread[mask], values)
  assert not spread[~mask].any()


def add_weighted(values, valid, info, context, state):
  count, total = state
  weights = jnp.where(valid, info, 0) * context
  return count + valid.sum(dtype=count.dtype), total + weights @ values


def test_folds_take_rows_that_count_and_end_on_the_host(random, mesh, lay):
  values, mask = random.standard_normal((40, 3)), random.random(40) < 0.5
  mask[20:] = False  # Nothing on two of four devices.
  values[~mask], weights = np.nan, random.random(40)
  with jax.enable_x64(True):
    count, total = fold_rows(
      lay(mesh, values, mask),
      add_weighted,
      (np.zeros((), np.int32), np.zeros(3)),
      info=weights,
      context=np.float64(2),
      tile=3,
    )
  assert isinstance(count, np.ndarray)
  assert isinstance(total, np.ndarray)
  assert count == mask.sum()
  expected = 2 * weights[mask] @ values[mask]
  np.testing.assert_allclose(total, expected, rtol=1e-12, atol=1e-12)


def scaled(row, context):
  return {'scaled': context * row, 'sum': row.sum()}


def test_maps_keep_rows_where_they_lie(random, mesh):
  local = random.standard_normal((300, 3))
  with jax.enable_x64(True):
    rows = shard_rows(mesh, local)
    found = map_rows(rows, scaled, np.float64(3))
  assert mesh_lib.mesh_of(found['sum']) == mesh
  for name, expected in (('scaled', 3 * local), ('sum', local.sum(1))):
    np.testing.assert_allclose(
      host_rows(found[name], rows.mask), expected, rtol=1e-12, atol=1e-12
    )
