import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.pairs import fold_pairs, pair_program


def smaller(products, valid, own, others, low, axis):
  del own, others
  return jnp.minimum(low, jnp.where(valid, products, jnp.inf).min(axis))


@pair_program()
def smallest_products(rows, origin, *, walk):
  x, y = rows
  low = jnp.full(x.mask.shape, jnp.inf)
  options = {'origin': origin, 'row_update': smaller, 'row_state': low}
  return fold_pairs(x, y, walk, **options)[0]


@pytest.mark.usefixtures('x64')
def test_a_kernel_equals_its_pmap_form(random, lay):
  mesh = mesh_lib.data_mesh(jax.devices()[:4])
  x, y = random.standard_normal((2, 12, 5))
  rows = [lay(mesh, f, np.ones(12, bool)) for f in (x, y)]
  smallest = smallest_products(rows, np.zeros(5), dtype=jnp.float64)
  by_pmap = jax.pmap(
    lambda block: jnp.min(block @ jnp.asarray(y).T, axis=1),
    axis_name=mesh_lib.DATA_AXIS,
  )(x.reshape(4, 3, 5))
  np.testing.assert_allclose(smallest, by_pmap.reshape(12), rtol=1e-12)


@pytest.mark.parametrize(
  ('devices', 'step', 'expected'),
  [
    (1, 1, [(0, 0)]),
    (3, 1, [(0, 1), (1, 2), (2, 0)]),
    (4, -2, [(0, 2), (1, 3), (2, 0), (3, 1)]),
  ],
)
def test_a_ring_moves_everyone_on(devices, step, expected):
  assert mesh_lib.ring(devices, step) == expected


@pytest.mark.parametrize('options', ['network', 'product', 'tile'])
def test_options_are_ones_this_xla_knows(options):
  of_mesh = getattr(mesh_lib, f'{options}_options')
  options = of_mesh(mesh_lib.data_mesh())
  assert jax.jit(lambda: 1, compiler_options=options)() == 1
