r"""Folds over the rows of a feature set, and over all pairs of two sets.

Every statistic in the package is made of these. They take float64 tiles of
the features, device by device, and never hold more than a tile:

* :func:`fold_rows` for sums over images (moments, class marginals);
* :func:`map_rows` for a value per image (influences, leverages);
* :func:`fold_pairs` for sums, minima and counts over pairs of images
  (neighbours, balls, kernels). Rows of ``x`` stay on their device; blocks of
  ``y``, with what is known of and folded for their columns, travel once
  around the ring of devices.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp

from genmed_jax import mesh as mesh_lib
from genmed_jax.mesh import Rows

TILE = 1024


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
    x: Rows ``[n, ...]``.
    update: Pure function ``(values [a, ...] float64, valid [a], info slice,
      context, state) -> state``, additive in the valid rows.
    state: Pytree of zeros to start from.
    info: Pytree of ``[n, ...]``, what the update knows of each row.
    context: Pytree that every tile sees whole.
    tile: Rows in a tile.

  Returns:
    The state after the last tile, on every device.
  """
  mesh = mesh_lib.mesh_of(x.values)
  return _fold_rows(
    (x, info), context, state, update=update, mesh=mesh, tile=tile
  )


def map_rows(
  x: Rows, function: Callable, context: Any, *, tile: int = TILE
) -> jax.Array:
  """Applies ``function`` to every row, a tile at a time.

  Args:
    x: Rows ``[n, d]``.
    function: Pure ``(row [d] float64, context) -> array``.
    context: Pytree that every row sees whole.
    tile: Rows taken at once.

  Returns:
    ``[n, ...]``, laid out as ``x``; padding has values too.
  """
  mesh = mesh_lib.mesh_of(x.values)
  return _map_rows(x.values, context, function=function, mesh=mesh, tile=tile)


def fold_pairs(
  x: Rows,
  y: Rows,
  update: Callable,
  *,
  origin: jax.Array | float = 0.0,
  row_info: Any = (),
  column_info: Any = (),
  row_state: Any = (),
  column_state: Any = (),
  tile: int = TILE,
) -> tuple[Any, Any]:
  """Folds ``update`` over every pair of a row of ``x`` and a row of ``y``.

  Args:
    x: Features ``[n, d]``.
    y: Features ``[m, d]``, over the same mesh.
    update: Pure function of ``(products [a, b], valid [a, b], row_info,
      column_info, row_state, column_state)``, the last four being slices of
      the arguments below, to the new ``(row_state, column_state)`` slices.
      Each valid pair is shown once, in no particular order; pairs that are
      not valid are padding, or were shown before, and must change nothing.
    origin: ``[d]``, subtracted from both sets before the products.
    row_info: Pytree of ``[n, ...]``, what the update knows of each row.
    column_info: The same for each row of ``y``, ``[m, ...]``.
    row_state: Pytree of ``[n, ...]``, what is folded for each row.
    column_state: The same for each row of ``y``, ``[m, ...]``.
    tile: Side of a tile; memory grows with its square.

  Returns:
    ``(row_state, column_state)`` after the last tile.
  """
  return _fold_pairs(
    (x, row_info),
    (y, column_info),
    row_state,
    column_state,
    jnp.asarray(origin, jnp.float64),
    update=update,
    mesh=mesh_lib.mesh_of(x.values),
    tile=tile,
  )


class TooFewImages(ValueError):
  """A set is too small for a statistic to be defined."""


def check_features(x: Rows, y: Rows, *, at_least: int = 2) -> None:
  """Raises unless both are ``[n, d]`` of one width and enough rows count.

  Raises:
    ValueError: if a set is not a matrix, the widths differ or a feature is
      not finite.
    TooFewImages: if fewer than ``at_least`` rows of a set count.
  """
  for rows in (x, y):
    if rows.values.ndim != 2:
      raise ValueError(f'features must be [n, d], not {rows.values.shape}')
  if x.values.shape[1] != y.values.shape[1]:
    raise ValueError(
      'feature widths differ: '
      f'{x.values.shape[1]} (real) and {y.values.shape[1]} (generated)'
    )
  for name, rows in (('real', x), ('generated', y)):
    if (count := int(rows.mask.sum())) < at_least:
      raise TooFewImages(
        f'needs at least {at_least} {name} images, got {count}'
      )
    if not _is_finite(rows):
      raise ValueError(f'{name} features are not finite')


@jax.jit
def _is_finite(x: Rows) -> jax.Array:
  return jnp.all(jnp.isfinite(x.values) | ~x.mask[:, None])


@functools.partial(jax.jit, static_argnames=('update', 'mesh', 'tile'))
def _fold_rows(rows, context, state, *, update, mesh, tile):
  def per_device(rows, context, state):
    n = rows[0].mask.shape[0]
    a = min(tile, n)

    def one_tile(t, state):
      (x, info), fresh = _row_tile(rows, t, a)
      values = x.values.astype(jnp.float64)
      return update(values, x.mask & fresh, info, context, state)

    state = lax.fori_loop(0, -(-n // a), one_tile, state)
    return lax.psum(state, mesh_lib.DATA_AXIS)

  return jax.shard_map(
    per_device,
    mesh=mesh,
    in_specs=(mesh_lib.ROWS, mesh_lib.REPLICATED, mesh_lib.REPLICATED),
    out_specs=mesh_lib.REPLICATED,
    check_vma=False,
  )(rows, context, state)


@functools.partial(jax.jit, static_argnames=('function', 'mesh', 'tile'))
def _map_rows(values, context, *, function, mesh, tile):
  def per_device(values, context):
    return lax.map(
      lambda row: function(row.astype(jnp.float64), context),
      values,
      batch_size=tile,
    )

  return jax.shard_map(
    per_device,
    mesh=mesh,
    in_specs=(mesh_lib.ROWS, mesh_lib.REPLICATED),
    out_specs=mesh_lib.ROWS,
    check_vma=False,
  )(values, context)


@functools.partial(jax.jit, static_argnames=('update', 'mesh', 'tile'))
def _fold_pairs(
  rows, columns, row_state, column_state, origin, *, update, mesh, tile
):
  devices = mesh.devices.size
  ring = [(i, (i + 1) % devices) for i in range(devices)]

  def per_device(rows, columns, row_state, column_state, origin):
    def hop(_, carry):
      columns, row_state, column_state = carry
      row_state, column_state = _fold_block(
        rows, columns, row_state, column_state, origin, update, tile
      )
      columns, column_state = lax.ppermute(
        (columns, column_state), mesh_lib.DATA_AXIS, ring
      )
      return columns, row_state, column_state

    _, row_state, column_state = lax.fori_loop(
      0, devices, hop, (columns, row_state, column_state)
    )
    return row_state, column_state

  return jax.shard_map(
    per_device,
    mesh=mesh,
    in_specs=(mesh_lib.ROWS,) * 4 + (mesh_lib.REPLICATED,),
    out_specs=mesh_lib.ROWS,
    check_vma=False,
  )(rows, columns, row_state, column_state, origin)


def _fold_block(rows, columns, row_state, column_state, origin, update, tile):
  """Folds the tiles of this device's rows against one block of columns."""
  n, m = rows[0].mask.shape[0], columns[0].mask.shape[0]
  a, b = min(tile, n), min(tile, m)
  across = -(-m // b)

  def one_tile(t, states):
    (x, row_info), fresh_row = _row_tile(rows, t // across, a)
    (y, column_info), fresh_column = _row_tile(columns, t % across, b)
    products = jnp.matmul(
      x.values.astype(jnp.float64) - origin,
      (y.values.astype(jnp.float64) - origin).T,
      precision=lax.Precision.HIGHEST,
    )
    row_tile, _ = _row_tile(states[0], t // across, a)
    column_tile, _ = _row_tile(states[1], t % across, b)
    row_tile, column_tile = update(
      products,
      (x.mask & fresh_row)[:, None] & (y.mask & fresh_column),
      row_info,
      column_info,
      row_tile,
      column_tile,
    )
    return (
      _write(states[0], row_tile, t // across * a, n),
      _write(states[1], column_tile, t % across * b, m),
    )

  tiles = -(-n // a) * across
  return lax.fori_loop(0, tiles, one_tile, (row_state, column_state))


def _row_tile(tree, t, size):
  """Tile ``t`` of every leaf, and which of its rows no tile held before.

  The last tile is slid back to stay inside, so it may repeat rows.
  """
  leaves = jax.tree.leaves(tree)
  n = leaves[0].shape[0] if leaves else size
  start = jnp.minimum(t * size, n - size)
  tile = jax.tree.map(lambda v: lax.dynamic_slice_in_dim(v, start, size), tree)
  return tile, jnp.arange(size) + start >= t * size


def _write(tree, new, start, n):
  return jax.tree.map(
    lambda v, u: lax.dynamic_update_slice_in_dim(
      v, u, jnp.minimum(start, n - u.shape[0]), 0
    ),
    tree,
    new,
  )
