import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.mesh import DATA_AXIS, REPLICATED, ROWS
from genmed_jax.engine.program import mesh_of_rows, program
from genmed_jax.engine.rows import shard_rows


@program(out=(ROWS, REPLICATED), static=('power',))
def weighted_powers(rows, context, *, power):
  x, weights = rows
  mine = weights * jnp.sum(x.values * context['scale'], axis=1) ** power
  total = lax.psum(jnp.where(x.mask, mine, 0.0).sum(), DATA_AXIS)
  block = jnp.full(mine.shape, len(mine), jnp.int32)
  return {'powers': mine, 'block': block}, total


def test_it_sees_its_own_rows_and_the_whole_context(random, ring, lay):
  values = np.float32(random.standard_normal((24, 3)))
  mask, weights = random.random(24) < 0.6, np.float32(random.random(24))
  scale = np.float32([1, -2, 3])
  x = lay(ring, values, mask)
  found, total = weighted_powers((x, weights), {'scale': scale}, power=2)
  expected = weights * (values @ scale) ** 2
  np.testing.assert_allclose(found['powers'], expected, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(total, expected[mask].sum(), rtol=1e-4)
  assert found['powers'].sharding.num_devices == ring.devices.size
  assert (np.asarray(found['block']) == 24 // ring.devices.size).all()
  assert total.is_fully_replicated


def test_counts_share_a_program_and_static_options_do_not(random, compiled):
  @program(out=REPLICATED, static=('power',))
  def powers(x, context, *, power):
    del context
    kept = jnp.where(x.mask, x.values[:, 0] ** power, 0.0)
    return lax.psum(kept.sum(), DATA_AXIS)

  x = np.float32(random.random((900, 1)))
  mesh = mesh_lib.data_mesh(jax.devices()[:4])
  mesh_lib.tile_options(mesh)  # Tries them in a program, once a process.
  compiled.clear()
  for count, power, programs in (
    (900, 2, 1),
    (70, 2, 1),
    (70, 3, 2),
    (900, 3, 2),
  ):
    found = powers(shard_rows(mesh, x[:count]), power=power)
    expected = np.sum(x[:count] ** power)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert len(compiled) == programs


def test_each_mesh_has_its_own(random, lay):
  values, mask = np.float32(random.random((8, 3))), np.ones(8, bool)
  context, given = {'scale': np.ones(3, np.float32)}, np.ones(8, np.float32)
  totals = []
  for devices in (1, 4, 1):
    x = lay(mesh_lib.data_mesh(jax.devices()[:devices]), values, mask)
    found, total = weighted_powers((x, given), context, power=1)
    assert found['powers'].sharding.num_devices == devices
    totals.append(total)
  np.testing.assert_allclose(totals, values.sum(), rtol=1e-5)


def test_it_is_compiled_with_its_options():
  @program(out=ROWS, options=lambda mesh: {'no_such_option': mesh.devices.size})
  def same(rows, context):
    del context
    return rows

  rows = shard_rows(mesh_lib.data_mesh(jax.devices()[:1]), np.zeros((2, 1)))
  with pytest.raises(jax.errors.JaxRuntimeError, match='no_such_option'):
    same(rows)


def test_the_mesh_is_that_of_the_first_array_on_devices(mesh):
  rows = shard_rows(mesh, np.zeros((4, 2), np.float32))
  found = mesh_of_rows({'a': np.zeros(4), 'b': (rows, np.zeros(4))})
  assert found.devices.tolist() == mesh.devices.tolist()
