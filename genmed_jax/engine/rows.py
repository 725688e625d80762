"""Rows over the mesh, and sums and maps over them.

Rows are padded so that every device holds equally many, and carry a mask: a
kernel counts rows by summing the mask and never by looking at a shape. Sums
and maps take the rows tile by tile, device by device, and never hold more
than a tile. Statistics of pairs of rows are in ``pairs``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.experimental import multihost_utils
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.tiles import fold_tiles, map_tiles

TILE = 256  # Rows of 2048 float64 features: they stay in a core's cache.


class Rows(NamedTuple):
  """Rows laid over the mesh: ``values [n, ...]`` and ``mask [n]`` (bool)."""

  values: jax.Array
  mask: jax.Array


def shard_rows(mesh: Mesh, local: np.ndarray) -> Rows:
  """Lays this process's rows, and those of all others, over the mesh.

  Args:
    mesh: The mesh from ``mesh.data_mesh``.
    local: ``[n_local, ...]``, the rows this process holds; the counts may
      differ between processes.

  Returns:
    Rows in process order, zero-padded so that every device holds equally
    many, with the padding masked out.
  """
  counts = multihost_utils.process_allgather(np.array(len(local)))
  local_devices = len(mesh.local_devices)
  per_device = max(1, -(-int(np.max(counts)) // local_devices))
  mask = np.arange(per_device * local_devices) < len(local)
  if padding := len(mask) - len(local):  # Or a copy is saved.
    local = np.pad(local, [(0, padding)] + [(0, 0)] * (local.ndim - 1))
  return Rows(mesh_lib.to_mesh(mesh, local), mesh_lib.to_mesh(mesh, mask))


def as_rows(values) -> Rows:
  """Wraps an array ``[n, ...]``, sharded or not: all of its rows count."""
  if not isinstance(values, jax.Array):
    values = jnp.asarray(values)
  mask = jnp.ones(values.shape[0], bool, device=_row_sharding(values))
  return Rows(values, mask)


def _row_sharding(values: jax.Array):
  if isinstance(values.sharding, NamedSharding):
    return NamedSharding(values.sharding.mesh, mesh_lib.ROWS)
  return values.sharding


def put_rows(like: Rows, values: np.ndarray) -> jax.Array:
  """Lays ``values [n, ...]``, known to every process, as ``like`` is laid."""
  return jax.device_put(values, _row_sharding(like.values))


def spread_rows(x: Rows, values: np.ndarray) -> jax.Array:
  """Lays values of the rows of ``x`` that count, ``[count, ...]``, as ``x``."""
  mask = to_host(x.mask)
  spread = np.zeros((len(mask), *values.shape[1:]), values.dtype)
  spread[mask] = values
  return put_rows(x, spread)


def take_rows(
  x: Rows, positions: np.ndarray, *, few_sizes: bool = True
) -> Rows:
  """The rows at ``positions``, in this order, laid out over the same mesh.

  Padded to one of few sizes, for few compilations; without ``few_sizes``, for
  numbers that do not vary, by no more than the devices need.
  """
  sharding = _row_sharding(x.values)
  each = -(-len(positions) // len(sharding.device_set))
  if few_sizes:
    each = _common_size(each)
  padding = each * len(sharding.device_set) - len(positions)
  mask = np.arange(len(positions) + padding) < len(positions)
  # One compiled gather: indexing by hand takes three times as long.
  taken = jnp.take(x.values, np.pad(positions, (0, padding)), axis=0)
  return Rows(jax.device_put(taken, sharding), jax.device_put(mask, sharding))


def _common_size(count: int) -> int:
  """The least of few sizes that holds so many rows."""
  if count > 1024:
    return -(-count // 1024) * 1024
  return 1 << max(0, count - 1).bit_length()


def host_rows(values: jax.Array, mask: jax.Array) -> np.ndarray:
  """The rows that count of the whole global array, on every process."""
  return to_host(values)[to_host(mask)]


def gather(mesh: Mesh, local: np.ndarray) -> np.ndarray:
  """The rows of every process, in process order, on every process."""
  if jax.process_count() == 1:
    return local
  return host_rows(*shard_rows(mesh, local))


def fold_rows(
  x: Rows,
  update: Callable,
  state: Any,
  *,
  info: Any = (),
  context: Any = (),
  tile: int = TILE,
) -> Any:
  """Folds ``update`` over tiles of rows and sums the result over devices.

  Args:
    x: Rows ``[n, d]``.
    update: Pure function ``(values [a, d] float64, valid [a], info slice,
      context, state) -> state``, additive in the valid rows; others are 0.
    state: Pytree of zeros to start from.
    info: Pytree of ``[n, ...]``, known to the update of each row.
    context: Pytree that every tile sees whole.
    tile: Rows in a tile, at most.

  Returns:
    The state after the last tile, on every device.
  """
  mesh = mesh_lib.mesh_of(x.values)
  return _fold_rows(
    (x, info), context, state, update=update, mesh=mesh, tile=tile
  )


def map_rows(x: Rows, function: Callable, context: Any) -> Any:
  """Applies ``function`` to every row, a tile at a time.

  Args:
    x: Rows ``[n, d]``.
    function: Pure ``(row [d] float64, context) -> pytree of arrays``.
    context: Pytree that every row sees whole.

  Returns:
    Leaves ``[n, ...]``, laid out as ``x``; padding has values too.
  """
  mesh = mesh_lib.mesh_of(x.values)
  return _map_rows(x.values, context, function=function, mesh=mesh)


@jax.jit
def count_and_finite(x: Rows) -> tuple[jax.Array, jax.Array]:
  """Number of the rows that count, and whether all of them are finite."""
  finite = jnp.all(jnp.isfinite(x.values) | ~x.mask[:, None])
  return x.mask.sum(), finite


@mesh_lib.product_jit(static_argnames=('update', 'tile'))
def _fold_rows(rows, context, state, *, update, mesh, tile):
  def per_device(rows, context, state):
    def one_tile(rows, fresh, state):
      x, info = rows
      valid = x.mask & fresh
      # Padding may hold a NaN, which no weight of zero takes out of a sum.
      values = jnp.where(valid[:, None], x.values, 0).astype(jnp.float64)
      return update(values, valid, info, context, state)

    state = fold_tiles(rows, one_tile, state, tile=tile)
    return lax.psum(state, mesh_lib.DATA_AXIS)

  return jax.shard_map(
    per_device,
    mesh=mesh,
    in_specs=(mesh_lib.ROWS, mesh_lib.REPLICATED, mesh_lib.REPLICATED),
    out_specs=mesh_lib.REPLICATED,
    check_vma=False,
  )(rows, context, state)


@mesh_lib.product_jit(static_argnames=('function',))
def _map_rows(values, context, *, function, mesh):
  def per_device(values, context):
    def one_tile(rows):
      return jax.vmap(function, (0, None))(rows.astype(jnp.float64), context)

    return map_tiles(values, one_tile, tile=TILE)

  return jax.shard_map(
    per_device,
    mesh=mesh,
    in_specs=(mesh_lib.ROWS, mesh_lib.REPLICATED),
    out_specs=mesh_lib.ROWS,
    check_vma=False,
  )(values, context)
