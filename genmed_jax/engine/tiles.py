"""Tiles of the rows that one device holds.

A tile is what a loop takes at once; nothing as large as the rows is made
beside them. Loops end at the last row that counts, which is known when they
run and not when they are compiled: sets of a thousand and of seventy rows,
padded to one size, share a program and each pays for its own tiles alone.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp


def tile_size(n: int, longest: int) -> int:
  """Rows in each of the fewest equal tiles that are no longer.

  Equal ones waste the least where all rows count: 10,100 rows are eleven
  tiles of 920 where at most 1000 are asked for. A multiple of 8, for what
  takes a tile in groups, where neither size forbids it.
  """
  least = -(-n // -(-n // longest))
  return min(-(-least // 8) * 8, n, longest)


def tiles_until(end: jax.Array, size: int) -> jax.Array:
  """Number of tiles that hold the rows before ``end``."""
  return -(-end // size)


def end_of(mask: jax.Array) -> jax.Array:
  """The row after the last that counts, int32; 0 if none does."""
  places = jnp.arange(1, len(mask) + 1, dtype=jnp.int32)
  return jnp.max(jnp.where(mask, places, 0), initial=0)


def tile_start(n: int, t, size: int) -> jax.Array:
  """The first of the ``n`` rows in tile ``t``; the last is slid back inside."""
  return jnp.minimum(t * size, n - size)


def read_tile(rows: Any, t, size: int) -> tuple[Any, jax.Array]:
  """Tile ``t`` of every leaf, and which of its rows no tile held before.

  The last tile may repeat rows: see :func:`tile_start`.
  """
  leaves = jax.tree.leaves(rows)
  n = leaves[0].shape[0] if leaves else size
  start = tile_start(n, t, size)
  tile = jax.tree.map(lambda v: lax.dynamic_slice_in_dim(v, start, size), rows)
  return tile, jnp.arange(size) + start >= t * size


def write_tile(rows: Any, tile: Any, t) -> Any:
  """Writes ``tile`` into every leaf, where :func:`read_tile` reads it."""
  return jax.tree.map(
    lambda v, new: lax.dynamic_update_slice_in_dim(
      v, new, tile_start(len(v), t, len(new)), 0
    ),
    rows,
    tile,
  )


def fold_tiles(
  rows: Any, update: Callable, state: Any, *, tile: int, end
) -> Any:
  """The state after ``update(tile, fresh, state)`` of every tile.

  Args:
    rows: Pytree of ``[n, ...]``.
    update: Pure; ``fresh [a]`` is false for rows that it has seen.
    state: Pytree to start from.
    tile: Rows in a tile, at most.
    end: Rows from here on are left out, but for those of the last tile.
  """
  size = tile_size(len(jax.tree.leaves(rows)[0]), tile)
  return lax.fori_loop(
    0,
    tiles_until(end, size),
    lambda t, state: update(*read_tile(rows, t, size), state),
    state,
  )


def map_tiles(rows: Any, function: Callable, *, tile: int, end) -> Any:
  """Values of all rows, ``function`` of one tile after the other.

  In place: ``lax.map`` would copy the rows first and join its batches last.

  Args:
    rows: Pytree of ``[n, ...]``.
    function: Pure, of a tile ``[a, ...]`` to a pytree of ``[a, ...]``.
    tile: Rows in a tile, at most.
    end: Rows from here on get zeros, but for those of the last tile.
  """
  n = len(jax.tree.leaves(rows)[0])
  size = tile_size(n, tile)

  def one_tile(t):
    return function(read_tile(rows, t, size)[0])

  nothing = jax.tree.map(
    lambda v: jnp.zeros((n, *v.shape[1:]), v.dtype),
    jax.eval_shape(one_tile, 0),
  )
  return lax.fori_loop(
    0,
    tiles_until(end, size),
    lambda t, done: write_tile(done, one_tile(t), t),
    nothing,
  )
