"""Folds over all pairs of rows of two feature sets, or of one.

Every pairwise statistic (neighbours, balls, kernels) is a sum, minimum or
count over tiles of inner products; no matrix of all pairs is ever held. The
products are taken about a common origin, so that an offset costs no digits,
and in float32 by default, for they are where the time goes: a caller who
cannot live with their rounding (``distances.rounding``) settles what is too
close to call in float64. Rows stay on their device; blocks of the other set,
with what is known of and folded for them, travel around the ring of devices.

The folds are parts of a :func:`pair_program`.
"""

from collections.abc import Callable, Iterator
import contextlib
import functools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jax.sharding import Mesh

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.blocks import fold_block
from genmed_jax.engine.mesh import DATA_AXIS, to_host
from genmed_jax.engine.platforms import platform_of
from genmed_jax.engine.program import mesh_of_rows, program
from genmed_jax.engine.progress import progress
from genmed_jax.engine.rows import Rows

_SMALL = 1000  # Rows on a device up to which tiles are small.
_LONG = 4e8  # Pairs a device takes in a fold that shows its progress.

_bars = []  # Of the fold that is running.


class Walk(NamedTuple):
  """The way through all pairs.

  Attributes:
    tiles: Rows and columns of a tile, at most.
    dtype: Of the products.
    top_k: As of ``platforms.Platform``.
    shown: Whether progress is shown.
  """

  tiles: tuple[int, int]
  dtype: Any = jnp.float32
  top_k: bool = False
  shown: bool = False

  @property
  def tick(self) -> Callable[[], None] | None:
    """Called when a device comes to another row of tiles."""
    return _tick if self.shown else None


def pair_program(
  *, out=mesh_lib.ROWS, own: bool = False, static: tuple[str, ...] = ()
) -> Callable:
  """A ``program`` whose rows begin with one set, or two, and their pairs.

  The function takes ``(rows, context, *, walk, **static)``; callers may give
  ``tile``, rows and columns of a tile, and ``dtype``, of the products.

  Args:
    out: As of ``program``.
    own: Whether the pairs are those of one set.
    static: As of ``program``.
  """

  def wrap(function: Callable) -> Callable:
    compiled = program(out=out, static=('walk', *static))(function)

    def sides(rows) -> tuple[Rows, Rows]:
      return rows[0], rows[0] if own else rows[1]

    def walk_of(rows, mesh, tile, dtype) -> Walk:
      longest = (
        given or _tile(side, mesh)
        for given, side in zip(tile, sides(rows), strict=True)
      )
      return Walk(tuple(longest), dtype, platform_of(mesh).top_k)

    @functools.wraps(function)
    def call(
      rows, context=(), *, tile=(None, None), dtype=jnp.float32, **options
    ):
      mesh = mesh_of_rows(rows)
      walk = walk_of(rows, mesh, tile, dtype)
      with _progress(mesh, *sides(rows), own, walk) as shown:
        walk = walk._replace(shown=shown)
        found = compiled(rows, context, walk=walk, **options)
        return jax.block_until_ready(found) if shown else found

    def lower(
      mesh, rows, context=(), *, tile=(None, None), dtype=jnp.float32, **options
    ):
      walk = walk_of(rows, mesh, tile, dtype)
      return compiled.lower(mesh, rows, context, walk=walk, **options)

    call.lower = lower
    return call

  return wrap


def _tile(x: Rows, mesh: Mesh) -> int:
  platform = platform_of(mesh)
  few = x.mask.shape[0] <= _SMALL * mesh.devices.size
  return platform.small_tile if few else platform.tile


def fold_pairs(
  x: Rows,
  y: Rows,
  walk: Walk,
  *,
  origin: jax.Array,
  row_update: Callable | None = None,
  column_update: Callable | None = None,
  row_info: Any = (),
  column_info: Any = (),
  row_state: Any = (),
  column_state: Any = (),
) -> tuple[Any, Any]:
  """Folds over every pair of a row of ``x`` and a row of ``y``.

  Args:
    x: This device's features ``[n, d]``.
    y: This device's features ``[m, d]``.
    walk: The way through them.
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

  Returns:
    ``(row_state, column_state)`` after the last tile.
  """
  devices = lax.axis_size(DATA_AXIS)
  ring = mesh_lib.ring(devices, 1)
  rows, columns = (x, row_info), (y, column_info)
  updates = row_update, column_update

  def fold(columns, states):
    return fold_block(
      rows, columns, states, origin, updates, walk.dtype, walk.tiles, walk.tick
    )

  def hop(_, carry):
    columns, *states = carry
    row_state, column_state = fold(columns, states)
    columns, column_state = lax.ppermute(
      (columns, column_state), DATA_AXIS, ring
    )
    return columns, row_state, column_state

  if devices == 1:  # The ring would hold the columns twice more.
    return fold(columns, (row_state, column_state))
  carry = columns, row_state, column_state
  return lax.fori_loop(0, devices, hop, carry)[1:]


def fold_own_pairs(
  x: Rows,
  walk: Walk,
  update: Callable,
  merge: Callable,
  state: Any,
  *,
  origin: jax.Array,
  info: Any = (),
) -> Any:
  """Folds over every pair of two different rows of ``x``.

  The product of a pair serves both of its rows, so this is half the work of
  ``fold_pairs(x, x)``: tiles on and above the diagonal of a device's own
  block, and blocks that travel half way around the ring.

  Args:
    x: This device's features ``[n, d]``.
    walk: The way through them.
    update: As ``row_update`` of :func:`fold_pairs`.
    merge: Pure function of two states ``[a, ...]``, folded over different
      pairs, to the state folded over all of them.
    state: Pytree of ``[n, ...]``, what is folded for each row: of no pairs.
    origin: ``[d]``, subtracted before the products.
    info: Pytree of ``[n, ...]``, what the update knows of each row.

  Returns:
    The state after the last tile.
  """
  devices = lax.axis_size(DATA_AXIS)
  half = devices // 2
  rows, nothing = (x, info), state
  options = (update, update), walk.dtype, walk.tiles, walk.tick
  (state,) = fold_block(rows, rows, (nothing,), origin, *options)
  me = lax.axis_index(DATA_AXIS)

  def hop(h, carry):
    columns, *states = carry
    columns, states[1] = lax.ppermute(
      (columns, states[1]), DATA_AXIS, mesh_lib.ring(devices, 1)
    )
    # Two devices meet twice where the ring is even: one of them counts.
    meets = (2 * h < devices) | (me < (me - h) % devices)
    return columns, *fold_block(rows, columns, states, origin, *options, meets)

  if not half:
    return state
  carry = rows, state, nothing
  _, state, away = lax.fori_loop(1, half + 1, hop, carry)
  home = lax.ppermute(away, DATA_AXIS, mesh_lib.ring(devices, -half))
  return merge(state, home)


def own(values: jax.Array, axis: int) -> jax.Array:
  """Broadcasts values of the rows that fold along ``axis`` of a tile."""
  return jnp.expand_dims(values, axis)


def others(values: jax.Array, axis: int) -> jax.Array:
  """Broadcasts values of the rows that are folded over, for a tile."""
  return jnp.expand_dims(values, 1 - axis)


@contextlib.contextmanager
def _progress(
  mesh: Mesh, x: Rows, y: Rows, own: bool, walk: Walk
) -> Iterator[bool]:
  """Shows how far a long fold is; yields whether it is long."""
  devices = mesh.devices.size
  hops = devices // 2 + 1 if own else devices
  if len(x.mask) * len(y.mask) // devices**2 * hops < _LONG:
    yield False
    return
  rows, columns = (
    int(to_host(side.mask).reshape(devices, -1).sum(axis=1).max())
    for side in (x, y)
  )
  if rows * columns * hops < _LONG:
    yield False
    return
  with progress(
    desc='pairs of images',
    total=-(-rows // walk.tiles[0]) * hops * len(mesh.local_devices),
    unit='row',
    leave=False,
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
