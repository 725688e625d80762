import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.pairs import fold_pairs


@pytest.mark.parametrize('n', [0, 1, 5, 8])
def test_rows_are_padded_masked_and_come_back(mesh, random, n):
  local = random.standard_normal((n, 3)).astype(np.float32)
  rows = mesh_lib.shard_rows(mesh, local)
  assert rows.values.shape[0] % mesh.devices.size == 0
  assert rows.values.sharding.num_devices == mesh.devices.size
  assert int(rows.mask.sum()) == n
  np.testing.assert_array_equal(mesh_lib.gather(mesh, local), local)


@pytest.mark.parametrize('few_sizes', [True, False])
def test_rows_taken_anew(mesh, random, few_sizes):
  local = random.standard_normal((10, 3)).astype(np.float32)
  rows = mesh_lib.shard_rows(mesh, local)
  positions = np.array([7, 2, 2, 0, 9, 8, 1, 3, 5])
  taken = mesh_lib.take_rows(rows, positions, few_sizes=few_sizes)
  values, mask = np.asarray(taken.values), np.asarray(taken.mask)
  np.testing.assert_array_equal(values[mask], local[positions])
  assert len(mask) == 16 if few_sizes else len(mask) - 9 < mesh.devices.size


def test_unsharded_arrays_are_rows_too():
  rows = mesh_lib.as_rows(jnp.ones((5, 2)))
  assert rows.mask.all()
  assert mesh_lib.mesh_of(rows.values).devices.size == 1


def test_a_kernel_equals_its_pmap_form(random):
  mesh = mesh_lib.data_mesh(jax.devices()[:4])
  x, y = random.standard_normal((2, 12, 5))
  with jax.enable_x64(True):
    rows_x, rows_y = (mesh_lib.shard_rows(mesh, f) for f in (x, y))
    smallest, _ = fold_pairs(
      rows_x,
      rows_y,
      origin=jnp.zeros(5),
      row_update=lambda products, valid, own, others, low, axis: jnp.minimum(
        low, jnp.where(valid, products, jnp.inf).min(axis)
      ),
      row_state=mesh_lib.put_rows(rows_x, np.full(12, np.inf)),
      dtype=jnp.float64,
    )
    by_pmap = jax.pmap(
      lambda block: jnp.min(block @ jnp.asarray(y).T, axis=1),
      axis_name=mesh_lib.DATA_AXIS,
    )(x.reshape(4, 3, 5))
  np.testing.assert_allclose(smallest, by_pmap.reshape(12), rtol=1e-12)


def test_network_options_are_ones_this_xla_knows():
  options = mesh_lib.network_options(mesh_lib.data_mesh())
  assert jax.jit(lambda: 1, compiler_options=options)() == 1
