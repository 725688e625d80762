"""Folds over all pairs of rows of two feature sets, or of one.

Every pairwise statistic (neighbours, balls, kernels) is a sum, minimum or
count over tiles of inner products; no matrix of all pairs is ever held. The
products are taken about a common origin, so that an offset costs no digits,
and in float32 by default, for they are where the time goes: a caller who
cannot live with their rounding (``distances.rounding``) settles what is too
close to call in float64. Rows stay on their device; blocks of the other set,
with what is known of and folded for them, travel around the ring of devices.
"""

from collections.abc import Callable, Iterator
import contextlib
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
import tqdm

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.blocks import fold_block
from genmed_jax.engine.rows import Rows

TILE = 1024  # Products of smaller tiles are slower, larger ones not faster.
_LONG = 400  # Tiles a device takes in a fold that shows its progress.

_bars: list[tqdm.tqdm] = []  # Of the fold that is running.


def fold_pairs(
  x: Rows,
  y: Rows,
  *,
  origin: jax.Array,
  row_update: Callable | None = None,
  column_update: Callable | None = None,
  row_info: Any = (),
  column_info: Any = (),
  row_state: Any = (),
  column_state: Any = (),
  dtype=jnp.float32,
  tile: int = TILE,
) -> tuple[Any, Any]:
  """Folds over every pair of a row of ``x`` and a row of ``y``.

  Args:
    x: Features ``[n, d]``.
    y: Features ``[m, d]``, over the same mesh.
    origin: ``[d]``, subtracted from both sets before the products.
    row_update: What a row of ``x`` folds over the rows of ``y``: a pure
      function ``(products [a, b], valid [a, b], own info, others' info,
      state, axis) -> state`` that reduces ``axis``. Each valid pair is shown
      once, in no particular order; the others must change nothing.
      :func:`own` and :func:`others` lay infos beside the products.
    column_update: The same for a row of ``y`` over the rows of ``x``.
    row_info: Pytree of ``[n, ...]``, what the updates know of each row.
    column_info: The same for each row of ``y``, ``[m, ...]``.
    row_state: Pytree of ``[n, ...]``, what is folded for each row.
    column_state: The same for each row of ``y``, ``[m, ...]``.
    dtype: Of the products.
    tile: Side of a tile, at most; memory grows with its square.

  Returns:
    ``(row_state, column_state)`` after the last tile.
  """
  mesh = mesh_lib.mesh_of(x.values)
  with _progress(mesh, x, y, mesh.devices.size, tile) as shown:
    folded = _fold_pairs(
      (x, row_info),
      (y, column_info),
      row_state,
      column_state,
      origin,
      updates=(row_update, column_update),
      mesh=mesh,
      dtype=dtype,
      tile=tile,
      shown=shown,
    )
    return jax.block_until_ready(folded) if shown else folded


def fold_own_pairs(
  x: Rows,
  update: Callable,
  merge: Callable,
  state: Any,
  *,
  origin: jax.Array,
  info: Any = (),
  dtype=jnp.float32,
  tile: int = TILE,
) -> Any:
  """Folds over every pair of two different rows of ``x``.

  The product of a pair serves both of its rows, so this is half the work of
  ``fold_pairs(x, x)``: tiles on and above the diagonal of a device's own
  block, and blocks that travel half way around the ring.

  Args:
    x: Features ``[n, d]``.
    update: As ``row_update`` of :func:`fold_pairs`.
    merge: Pure function of two states ``[a, ...]``, folded over different
      pairs, to the state folded over all of them.
    state: Pytree of ``[n, ...]``, what is folded for each row: of no pairs.
    origin: ``[d]``, subtracted before the products.
    info: Pytree of ``[n, ...]``, what the update knows of each row.
    dtype: Of the products.
    tile: Side of a tile, at most; memory grows with its square.

  Returns:
    The state after the last tile.
  """
  mesh = mesh_lib.mesh_of(x.values)
  with _progress(mesh, x, x, mesh.devices.size // 2 + 1, tile) as shown:
    folded = _fold_own_pairs(
      (x, info),
      state,
      origin,
      update=update,
      merge=merge,
      mesh=mesh,
      dtype=dtype,
      tile=tile,
      shown=shown,
    )
    return jax.block_until_ready(folded) if shown else folded


def own(values: jax.Array, axis: int) -> jax.Array:
  """Lays what is known of the rows that fold beside their products."""
  return jnp.expand_dims(values, axis)


def others(values: jax.Array, axis: int) -> jax.Array:
  """Lays what is known of the rows they fold over beside the products."""
  return jnp.expand_dims(values, 1 - axis)


@mesh_lib.product_jit(static_argnames=('updates', 'dtype', 'tile', 'shown'))
def _fold_pairs(
  rows,
  columns,
  row_state,
  column_state,
  origin,
  *,
  updates,
  mesh,
  dtype,
  tile,
  shown,
):
  ring = mesh_lib.ring(mesh, 1)
  tick = _tick if shown else None

  def per_device(rows, columns, row_state, column_state, origin):
    def fold(columns, states):
      return fold_block(
        rows, columns, states, origin, updates, dtype, tile, tick
      )

    def hop(_, carry):
      columns, *states = carry
      row_state, column_state = fold(columns, states)
      columns, column_state = lax.ppermute(
        (columns, column_state), mesh_lib.DATA_AXIS, ring
      )
      return columns, row_state, column_state

    if mesh.devices.size == 1:  # The ring would hold the columns twice more.
      return fold(columns, (row_state, column_state))
    carry = columns, row_state, column_state
    return lax.fori_loop(0, mesh.devices.size, hop, carry)[1:]

  return jax.shard_map(
    per_device,
    mesh=mesh,
    in_specs=(mesh_lib.ROWS,) * 4 + (mesh_lib.REPLICATED,),
    out_specs=mesh_lib.ROWS,
    check_vma=False,
  )(rows, columns, row_state, column_state, origin)


@mesh_lib.product_jit(
  static_argnames=('update', 'merge', 'dtype', 'tile', 'shown')
)
def _fold_own_pairs(
  rows, state, origin, *, update, merge, mesh, dtype, tile, shown
):
  devices = mesh.devices.size
  half = devices // 2
  both = update, update
  tick = _tick if shown else None

  def per_device(rows, nothing, origin):
    (state,) = fold_block(
      rows, rows, (nothing,), origin, both, dtype, tile, tick
    )
    me = lax.axis_index(mesh_lib.DATA_AXIS)

    def hop(h, carry):
      columns, *states = carry
      columns, states[1] = lax.ppermute(
        (columns, states[1]), mesh_lib.DATA_AXIS, mesh_lib.ring(mesh, 1)
      )
      # Two devices meet twice where the ring is even: one of them counts.
      meets = (2 * h < devices) | (me < (me - h) % devices)
      return columns, *fold_block(
        rows, columns, states, origin, both, dtype, tile, tick, meets
      )

    if not half:
      return state
    carry = rows, state, nothing
    _, state, away = lax.fori_loop(1, half + 1, hop, carry)
    home = lax.ppermute(away, mesh_lib.DATA_AXIS, mesh_lib.ring(mesh, -half))
    return merge(state, home)

  return jax.shard_map(
    per_device,
    mesh=mesh,
    in_specs=(mesh_lib.ROWS, mesh_lib.ROWS, mesh_lib.REPLICATED),
    out_specs=mesh_lib.ROWS,
    check_vma=False,
  )(rows, state, origin)


@contextlib.contextmanager
def _progress(mesh, x: Rows, y: Rows, hops: int, tile: int) -> Iterator[bool]:
  """Shows how far a long fold is; yields whether it is long."""
  rows, columns = (len(r.mask) // mesh.devices.size for r in (x, y))
  tiles = -(-rows // tile) * hops
  if tiles * -(-columns // tile) < _LONG:
    yield False
    return
  total = tiles * len(mesh.local_devices)
  with tqdm.tqdm(
    desc=f'{len(x.mask)} x {len(y.mask)} pairs',
    total=total,
    unit='row',
    disable=jax.process_index() != 0,
  ) as bar:
    _bars.append(bar)
    try:
      yield True
      jax.effects_barrier()
    finally:
      _bars.pop()


def _tick() -> None:
  """Called by a device when it comes to another row of tiles."""
  _bars[-1].update()
