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

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.mesh import Rows, to_host
from genmed_jax.engine.tiles import fold_tiles, map_tiles

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
    x: Rows ``[n, d]``.
    update: Pure function ``(values [a, d] float64, valid [a], info slice,
      context, state) -> state``, additive in the valid rows; others are 0.
    state: Pytree of zeros to start from.
    info: Pytree of ``[n, ...]``, what the update knows of each row.
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
    count, finite = map(to_host, _count_and_finite(rows))
    if count < at_least:
      raise TooFewImages(f'needs at least {at_least} {name}images, got {count}')
    if not finite:
      raise ValueError(f'{name}features are not finite')


@jax.jit
def _count_and_finite(x: Rows) -> tuple[jax.Array, jax.Array]:
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
