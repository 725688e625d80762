"""Rows over the mesh, and sums and maps over them.

Rows are padded to one of few sizes, so that sets of many sizes share compiled
programs, and carry a mask: a kernel counts rows by summing the mask and never
by looking at a shape. Sums and maps take the rows tile by tile, device by
device, and never hold more than a tile. Statistics of pairs of rows are in
``pairs``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.program import program
from genmed_jax.engine.tiles import end_of, fold_tiles, map_tiles

TILE = 256  # Rows of 2048 float64 features: they stay in a core's cache.

# Rows a device holds of a small set, padding included. A set of more is not
# padded: its statistics take longer than their compilation.
_SIZES = (1000, 4000, 16000)


class Rows(NamedTuple):
  """Rows laid over the mesh: ``values [n, ...]`` and ``mask [n]`` (bool)."""

  values: jax.Array
  mask: jax.Array


def padded_size(count: int) -> int:
  """Rows that a device holds for ``count`` of them: the least size that fits.

  Padding costs memory, at most that of 16,000 rows, and next to no time:
  loops end at the last row that counts.
  """
  return next((size for size in _SIZES if count <= size), count)


def shard_rows(
  mesh: Mesh,
  local: np.ndarray,
  *,
  padded: Callable[[int], int] = padded_size,
) -> Rows:
  """Lays this process's rows, and those of all others, over the mesh.

  Args:
    mesh: The mesh from ``mesh.data_mesh``.
    local: ``[n_local, ...]``, the rows this process holds; the counts may
      differ between processes.
    padded: To how many rows of a device so many are padded.

  Returns:
    Rows in process order, as many on one device as on another but for one,
    zero-padded with the padding masked out.
  """
  devices = len(mesh.local_devices)
  most = -(-len(local) // devices)
  if devices < mesh.devices.size:
    most = int(mesh_lib.from_all(np.array(most)).max())
  size = padded(most)
  if len(local) == devices * size:  # As it lies; a copy is saved.
    mask = np.ones(len(local), bool)
    return Rows(mesh_lib.to_mesh(mesh, local), mesh_lib.to_mesh(mesh, mask))
  bounds = np.arange(devices + 1) * len(local) // devices
  values = np.zeros((devices, size, *local.shape[1:]), local.dtype)
  mask = np.arange(size) < np.diff(bounds)[:, None]
  for block, start, end in zip(values, bounds, bounds[1:], strict=False):
    block[: end - start] = local[start:end]
  values = values.reshape(-1, *local.shape[1:])
  return Rows(*(mesh_lib.to_mesh(mesh, v) for v in (values, mask.reshape(-1))))


def as_rows(values) -> Rows:
  """Wraps an array ``[n, ...]``: all of its rows count.

  A NumPy array is laid on the default device, padded; a device array stays
  as it is, sharded or not.
  """
  if not isinstance(values, jax.Array):
    return shard_rows(mesh_lib.data_mesh(jax.local_devices()[:1]), values)
  mask = np.ones(values.shape[0], bool)
  return Rows(values, jax.device_put(mask, _row_sharding(values)))


def _row_sharding(values: jax.Array):
  if isinstance(values.sharding, NamedSharding):
    return NamedSharding(values.sharding.mesh, mesh_lib.ROWS)
  return values.sharding


def spread_rows(x: Rows, values: np.ndarray) -> np.ndarray:
  """Values of the rows of ``x`` that count, in their places, ``[n, ...]``.

  Args:
    x: Rows ``[n, d]``.
    values: ``[count, ...]``, known to every process. The rest gets zeros.
  """
  mask = to_host(x.mask)
  spread = np.zeros((len(mask), *values.shape[1:]), values.dtype)
  spread[mask] = values
  return spread


def take_rows(x: Rows, positions: np.ndarray) -> Rows:
  """The rows at ``positions``, in this order, laid out over the same mesh."""
  devices = mesh_lib.mesh_of(x.values).devices.size
  bounds = np.arange(devices + 1) * len(positions) // devices
  counts = np.diff(bounds)
  mask = np.arange(padded_size(counts.max())) < counts[:, None]
  places = np.zeros(mask.shape, np.int32)
  places[mask] = positions
  return _take_rows((x.values, places.reshape(-1), mask.reshape(-1)))


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
    The state after the last tile, on the host.
  """
  found = _fold_rows((x, info), (context, state), update=update, tile=tile)
  return jax.tree.map(to_host, found)


def map_rows(x: Rows, function: Callable, context: Any) -> Any:
  """Applies ``function`` to every row that counts, a tile at a time.

  Args:
    x: Rows ``[n, d]``.
    function: Pure ``(row [d] float64, context) -> pytree of arrays``.
    context: Pytree that every row sees whole.

  Returns:
    Leaves ``[n, ...]``, laid out as ``x``.
  """
  return _map_rows(x, context, function=function)


@program(
  out=mesh_lib.REPLICATED,
  static=('update', 'tile'),
  options=mesh_lib.product_options,
)
def _fold_rows(rows, given, *, update, tile):
  context, state = given

  def one_tile(rows, fresh, state):
    x, info = rows
    valid = x.mask & fresh
    # Padding may hold a NaN, which no weight of zero takes out of a sum.
    values = jnp.where(valid[:, None], x.values, 0).astype(jnp.float64)
    return update(values, valid, info, context, state)

  end = end_of(rows[0].mask)
  state = fold_tiles(rows, one_tile, state, tile=tile, end=end)
  return lax.psum(state, mesh_lib.DATA_AXIS)


@program(out=mesh_lib.ROWS, static=('function',))
def _map_rows(x, context, *, function):
  def one_tile(rows):
    return jax.vmap(function, (0, None))(rows.astype(jnp.float64), context)

  return map_tiles(x.values, one_tile, tile=TILE, end=end_of(x.mask))


@program(out=mesh_lib.ROWS)
def _take_rows(rows, context):
  del context
  values, places, mask = rows
  if lax.axis_size(mesh_lib.DATA_AXIS) == 1:
    return Rows(jnp.take(values, places, axis=0), mask)
  block = len(values)
  first = lax.axis_index(mesh_lib.DATA_AXIS) * block

  # Tile by tile: XLA would gather the whole set on every device first.
  def one_tile(places):
    places = lax.all_gather(places, mesh_lib.DATA_AXIS) - first
    here = (places >= 0) & (places < block)
    found = values[jnp.clip(places, 0, block - 1)]
    here = here.reshape(here.shape + (1,) * (values.ndim - 1))
    found = jnp.where(here, found, 0)
    return lax.psum_scatter(found, mesh_lib.DATA_AXIS)

  end = lax.pmax(end_of(mask), mesh_lib.DATA_AXIS)  # All meet in each tile.
  return Rows(map_tiles(places, one_tile, tile=TILE, end=end), mask)
