"""Products of one block of rows with one of columns, folded tile by tile."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp

from genmed_jax.engine.rows import Rows
from genmed_jax.engine.tiles import (
  end_of,
  read_tile,
  tile_size,
  tile_start,
  tiles_until,
  write_tile,
)

SET = 'set'  # What is known of a row: the number of its set, -1 for padding.


def fold_block(
  rows: tuple[Rows, Any],
  columns: tuple[Rows, Any],
  states: Sequence,
  origin: jax.Array,
  updates: tuple[Callable | None, Callable | None],
  dtype,
  tiles: tuple[int, int],
  tick: Callable[[], None] | None,
  meets=True,
) -> tuple:
  """Folds rows against columns, tile by tile.

  Args:
    rows: Features ``[n, d]`` and what is known of each row, ``[n, ...]``. Where
      that has a :data:`SET`, only pairs of one set count.
    columns: Features ``[m, d]`` and what is known of each column.
    states: What is folded for each row, ``[n, ...]``, and for each column,
      ``[m, ...]``. With a single state the columns are the rows: pairs above
      the diagonal are shown, and the state takes both of each pair's rows.
    origin: ``[d]``, subtracted from both before the products.
    updates: Of the rows' and of the columns' state, as ``row_update`` of
      ``pairs.fold_pairs``.
    dtype: Of the products.
    tiles: Rows and columns of a tile, at most.
    tick: Called when another row of tiles begins.
    meets: Whether any pair counts.

  Returns:
    The states after the last tile.
  """
  n, m = rows[0].mask.shape[0], columns[0].mask.shape[0]
  same = len(states) == 1
  several = isinstance(rows[1], dict) and SET in rows[1]
  a = tile_size(n, tiles[0])
  b = a if same else tile_size(m, tiles[1])
  down_end, right_end = (
    tiles_until(end_of(side[0].mask), size)
    for side, size in ((rows, a), (columns, b))
  )

  def down(i, states):
    (x, row_info), fresh_row = read_tile(rows, i, a)
    centred = _centred(x.values, origin, dtype)

    def right(j, states):
      if not several:
        return one_tile(j, states)
      (_, column_info), _ = read_tile(columns, j, b)
      meet = _share_a_set(row_info[SET], column_info[SET])
      return lax.cond(meet, one_tile, lambda _, states: states, j, states)

    def one_tile(j, states):
      (y, column_info), fresh_column = read_tile(columns, j, b)
      # Without a transpose: TPUs would lay all columns out anew for it, where
      # they emulate float64.
      products = lax.dot_general(
        centred,
        _centred(y.values, origin, dtype),
        (((1,), (1,)), ((), ())),
        precision=lax.Precision.HIGHEST,
      )
      valid = (x.mask & fresh_row)[:, None] & (y.mask & fresh_column) & meets
      if same:
        row, column = tile_start(n, i, a), tile_start(m, j, b)
        valid &= row + jnp.arange(a)[:, None] < column + jnp.arange(b)
      if several:
        valid &= row_info[SET][:, None] == column_info[SET]
      row_state, column_state = states[0], states[-1]
      row_state = _fold_tile(
        updates[0], products, valid, row_info, column_info, row_state, i, 1
      )
      column_state = _fold_tile(
        updates[1],
        products,
        valid,
        column_info,
        row_info,
        row_state if same else column_state,
        j,
        0,
      )
      return (column_state,) if same else (row_state, column_state)

    if tick:
      jax.debug.callback(tick)
    return lax.fori_loop(i if same else 0, right_end, right, states)

  return lax.fori_loop(0, down_end, down, tuple(states))


def _share_a_set(*numbers) -> jax.Array:
  """Whether two tiles may hold rows of one set, whose rows lie together."""
  most = [number.max() for number in numbers]
  nobody = jnp.iinfo(numbers[0].dtype).max
  least = [jnp.where(n < 0, nobody, n).min() for n in numbers]
  return (least[0] <= most[1]) & (least[1] <= most[0])


def _fold_tile(update, products, valid, own_info, other_info, state, t, axis):
  """Updates tile ``t`` of a state, whose rows lie along the other axis."""
  if update is None:
    return state
  size = products.shape[1 - axis]
  tile, _ = read_tile(state, t, size)
  tile = update(products, valid, own_info, other_info, tile, axis)
  return write_tile(state, tile, t)


def _centred(values, origin, dtype):
  """Rows about the origin, rounded once."""
  exact = jnp.promote_types(values.dtype, dtype)
  return (values.astype(exact) - origin.astype(exact)).astype(dtype)
