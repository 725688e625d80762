import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.rows import (
  as_rows,
  count_and_finite,
  gather,
  host_rows,
  Rows,
  shard_rows,
  spread_rows,
  take_rows,
)


@pytest.mark.parametrize('n', [0, 1, 5, 8])
def test_rows_are_padded_masked_and_come_back(mesh, random, n):
  local = random.standard_normal((n, 3)).astype(np.float32)
  rows = shard_rows(mesh, local)
  assert rows.values.shape[0] % mesh.devices.size == 0
  assert rows.values.sharding.num_devices == mesh.devices.size
  assert int(rows.mask.sum()) == n
  np.testing.assert_array_equal(gather(mesh, local), local)


@pytest.mark.parametrize('few_sizes', [True, False])
def test_rows_taken_anew(mesh, random, few_sizes):
  local = random.standard_normal((10, 3)).astype(np.float32)
  rows = shard_rows(mesh, local)
  positions = np.array([7, 2, 2, 0, 9, 8, 1, 3, 5])
  taken = take_rows(rows, positions, few_sizes=few_sizes)
  values, mask = np.asarray(taken.values), np.asarray(taken.mask)
  np.testing.assert_array_equal(values[mask], local[positions])
  assert len(mask) == 16 if few_sizes else len(mask) - 9 < mesh.devices.size


def test_unsharded_arrays_are_rows_too():
  rows = as_rows(jnp.ones((5, 2)))
  assert rows.mask.all()
  assert mesh_lib.mesh_of(rows.values).devices.size == 1


def test_values_are_laid_beside_the_rows_that_count(random):
  mask = random.random(12) < 0.6
  rows = Rows(jnp.zeros((12, 2)), jnp.asarray(mask))
  values = np.float32(random.standard_normal((mask.sum(), 3)))
  spread = spread_rows(rows, values)
  np.testing.assert_array_equal(host_rows(spread, rows.mask), values)
  assert not np.asarray(spread)[~mask].any()


@pytest.mark.parametrize(
  ('value', 'at', 'finite'),
  [(0.0, 2, True), (np.nan, 2, False), (np.inf, 2, False), (np.nan, 5, True)],
)
def test_rows_that_count_are_counted_and_looked_at(value, at, finite):
  values = np.zeros((6, 3), np.float32)
  values[at, 1] = value
  mask = np.array([True, False, True, True, False, False])
  found = count_and_finite(Rows(jnp.asarray(values), jnp.asarray(mask)))
  assert jax.tree.map(np.asarray, found) == (3, finite)
