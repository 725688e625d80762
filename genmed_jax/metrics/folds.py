r"""Folds over the rows of a feature set: the statistics of single images.

They take the features tile by tile, device by device, and never hold more
than a tile: :func:`fold_rows` for sums over images (moments, class marginals),
:func:`map_rows` for a value per image (influences, leverages). Statistics of
pairs of images are in ``pairs``.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp

from genmed_jax import mesh as mesh_lib
from genmed_jax.mesh import Rows

TILE = 256  # Rows of 2048 float64 features: they stay in a core's cache.


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
    function: Pure ``(row [d] float64, context) -> pytree of arrays``.
    context: Pytree that every row sees whole.
    tile: Rows taken at once.

  Returns:
    Leaves ``[n, ...]``, laid out as ``x``; padding has values too.
  """
  mesh = mesh_lib.mesh_of(x.values)
  return _map_rows(x.values, context, function=function, mesh=mesh, tile=tile)


class TooFewImages(ValueError):
  """A set is too small for a statistic to be defined."""


def check_features(x: Rows, y: Rows | None = None, *, at_least: int = 2):
  """Raises unless all are ``[n, d]`` of one width and enough rows count.

  Args:
    x: A feature set, the real one if there are two.
    y: The generated set.
    at_least: How many rows are enough.

  Raises:
    ValueError: if a set is not a matrix, the widths differ or a feature is
      not finite.
    TooFewImages: if fewer than ``at_least`` rows of a set count.
  """
  sets = {'': x} if y is None else {'real ': x, 'generated ': y}
  for rows in sets.values():
    if rows.values.ndim != 2:
      raise ValueError(f'features must be [n, d], not {rows.values.shape}')
  if y is not None and x.values.shape[1] != y.values.shape[1]:
    raise ValueError(
      'feature widths differ: '
      f'{x.values.shape[1]} (real) and {y.values.shape[1]} (generated)'
    )
  for name, rows in sets.items():
    if (count := int(rows.mask.sum())) < at_least:
      raise TooFewImages(f'needs at least {at_least} {name}images, got {count}')
    if not _is_finite(rows):
      raise ValueError(f'{name}features are not finite')


@jax.jit
def _is_finite(x: Rows) -> jax.Array:
  return jnp.all(jnp.isfinite(x.values) | ~x.mask[:, None])


@mesh_lib.product_jit(static_argnames=('update', 'tile'))
def _fold_rows(rows, context, state, *, update, mesh, tile):
  def per_device(rows, context, state):
    n = rows[0].mask.shape[0]
    a = min(tile, n)

    def one_tile(t, state):
      (x, info), fresh = row_tile(rows, t, a)
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


@mesh_lib.product_jit(static_argnames=('function', 'tile'))
def _map_rows(values, context, *, function, mesh, tile):
  def per_device(values, context):
    n = values.shape[0]
    a = min(tile, n)

    def one_tile(t):
      rows, _ = row_tile(values, t, a)
      return jax.vmap(function, (0, None))(rows.astype(jnp.float64), context)

    mapped = jax.tree.map(
      lambda v: jnp.zeros((n, *v.shape[1:]), v.dtype),
      jax.eval_shape(one_tile, 0),
    )
    return lax.fori_loop(
      0,
      -(-n // a),
      lambda t, mapped: write_tile(mapped, one_tile(t), t),
      mapped,
    )

  return jax.shard_map(
    per_device,
    mesh=mesh,
    in_specs=(mesh_lib.ROWS, mesh_lib.REPLICATED),
    out_specs=mesh_lib.ROWS,
    check_vma=False,
  )(values, context)


def row_tile(tree, t, size):
  """Tile ``t`` of every leaf, and which of its rows no tile held before.

  The last tile is slid back to stay inside, so it may repeat rows.
  """
  leaves = jax.tree.leaves(tree)
  n = leaves[0].shape[0] if leaves else size
  start = jnp.minimum(t * size, n - size)
  tile = jax.tree.map(lambda v: lax.dynamic_slice_in_dim(v, start, size), tree)
  return tile, jnp.arange(size) + start >= t * size


def write_tile(tree, tile, t):
  """Writes ``tile`` into every leaf, where :func:`row_tile` reads it."""
  return jax.tree.map(
    lambda v, new: lax.dynamic_update_slice_in_dim(
      v, new, jnp.minimum(t * len(new), len(v) - len(new)), 0
    ),
    tree,
    tile,
  )
