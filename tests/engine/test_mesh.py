import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.pairs import fold_pairs
from genmed_jax.engine.rows import put_rows, shard_rows


def test_a_kernel_equals_its_pmap_form(random):
  mesh = mesh_lib.data_mesh(jax.devices()[:4])
  x, y = random.standard_normal((2, 12, 5))
  with jax.enable_x64(True):
    rows_x, rows_y = (shard_rows(mesh, f) for f in (x, y))
    smallest, _ = fold_pairs(
      rows_x,
      rows_y,
      origin=jnp.zeros(5),
      row_update=lambda products, valid, own, others, low, axis: jnp.minimum(
        low, jnp.where(valid, products, jnp.inf).min(axis)
      ),
      row_state=put_rows(rows_x, np.full(12, np.inf)),
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
