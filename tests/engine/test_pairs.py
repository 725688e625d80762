import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine import pairs
from genmed_jax.engine.pairs import fold_own_pairs, fold_pairs, others
from genmed_jax.engine.rows import as_rows, shard_rows, spread_rows


@pytest.fixture(params=[1, 2, 3, 4], ids='{}dev'.format)
def ring(request):
  return mesh_lib.data_mesh(jax.devices()[: request.param])


def add_products(products, valid, own_info, other_info, total, axis):
  del own_info
  weights = others(other_info, axis)
  return total + jnp.where(valid, products * weights, 0.0).sum(axis)


@pytest.mark.parametrize('tile', [7, 16, 1000])
@pytest.mark.parametrize(
  ('dtype', 'rtol'), [(jnp.float64, 1e-12), (jnp.float32, 1e-4)]
)
def test_every_pair_is_shown_once(random, ring, tile, dtype, rtol):
  x, y = random.standard_normal((2, 53, 6))
  x, origin = x[:37], random.standard_normal(6)
  weights_x, weights_y = random.random(37), random.random(53)
  with jax.enable_x64(True):
    rows_x, rows_y = (shard_rows(ring, f) for f in (x, y))
    to_x, to_y = fold_pairs(
      rows_x,
      rows_y,
      origin=jnp.asarray(origin),
      row_update=add_products,
      column_update=add_products,
      row_info=spread_rows(rows_x, weights_x),
      column_info=spread_rows(rows_y, weights_y),
      row_state=spread_rows(rows_x, np.zeros(37)),
      column_state=spread_rows(rows_y, np.zeros(53)),
      dtype=dtype,
      tile=tile,
    )
  products = (x - origin) @ (y - origin).T
  np.testing.assert_allclose(
    np.asarray(to_x)[:37], products @ weights_y, rtol=rtol, atol=rtol
  )
  np.testing.assert_allclose(
    np.asarray(to_y)[:53], weights_x @ products, rtol=rtol, atol=rtol
  )


@pytest.mark.parametrize('tile', [5, 16, 1000])
@pytest.mark.parametrize('n', [9, 47])
def test_every_own_pair_is_shown_to_both(random, ring, tile, n):
  x, weights = random.standard_normal((n, 6)), random.random(n)
  with jax.enable_x64(True):
    rows = shard_rows(ring, x)
    total = fold_own_pairs(
      rows,
      add_products,
      jnp.add,
      spread_rows(rows, np.zeros(n)),
      origin=jnp.zeros(6),
      info=spread_rows(rows, weights),
      dtype=jnp.float64,
      tile=tile,
    )
  products = x @ x.T
  np.fill_diagonal(products, 0)
  np.testing.assert_allclose(
    np.asarray(total)[:n], products @ weights, rtol=1e-12, atol=1e-12
  )


def test_a_fold_that_shows_its_progress_copies_no_set():
  x = as_rows(np.zeros((4096, 512), np.float32))
  mesh = mesh_lib.mesh_of(x.values)
  fold = functools.partial(
    pairs._fold_pairs.__wrapped__,  # Jitted here, to ask for its memory.
    updates=(add_products, add_products),
    mesh=mesh,
    dtype=jnp.float32,
    tile=128,
    shown=True,
  )
  zeros = np.zeros(4096, np.float32)
  known = x, zeros
  program = jax.jit(fold).lower(known, known, zeros, zeros, np.zeros(512))
  options = mesh_lib.product_options(mesh)
  found = program.compile(compiler_options=options).memory_analysis()
  temporary = found.temp_size_in_bytes
  assert temporary < x.values.nbytes / 4
