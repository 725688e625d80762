"""Views: what an image sees of a set, folded over all pairs.

Its nearest images, the balls of other images that hold it, and images in its
own ball. A pass takes float32 products. A row for which their rounding leaves
any doubt looks again in float64, and the distances reported are sums of
squared differences: exact copies are at distance zero, and near-duplicates
keep their digits. What float64 products cannot tell apart is equal.
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
import numpy as np

from genmed_jax.engine.distances import (
  pair_distances,
  pair_info,
  rounding,
  squared_distances,
)
from genmed_jax.engine.mesh import mesh_of, to_host
from genmed_jax.engine.pairs import fold_pairs, others, own, pair_program, Walk
from genmed_jax.engine.platforms import platform_of
from genmed_jax.engine.rows import Rows, spread_rows, take_rows
from genmed_jax.engine.selection import keep_nearest, nearest_of, NOBODY
from genmed_jax.engine.stack import Stack

# What can be asked of a view.
NEAREST = 'nearest'  # The nearest rows.
HOLDING = 'holding'  # Number of rows in the image's own ball.
HELD_BY = 'held_by'  # Number of the others' balls that hold the image.
HELD_BY_CLIPPED = 'held_by_clipped'  # The same for clipped, closed balls.
BEST = 'best'  # The row of the largest ratio of core radius to distance; to
# be asked with the nearest, which show where it is in doubt.
EVERYTHING = NEAREST, HOLDING, HELD_BY, HELD_BY_CLIPPED, BEST

NEIGHBOURS = 5  # Of each image, in metrics.


class Balls(NamedTuple):
  """Squared radii of the balls around the rows of a set, ``[n]`` float64.

  Attributes:
    radius: Of the open ball.
    clipped: Of the closed ball that is clipped.
    core: Of the ball that ratios are taken of; 0 for none.
  """

  radius: np.ndarray
  clipped: np.ndarray
  core: np.ndarray

  @classmethod
  def none(cls, x: Rows) -> 'Balls':
    """Balls that hold nothing."""
    return cls(*(np.zeros(x.mask.shape),) * 3)


def start(x: Rows, asked: tuple[str, ...], k: int, walk: Walk) -> dict:
  """The view of every row before the first pair.

  Args:
    x: Rows ``[n, d]``.
    asked: Of :data:`EVERYTHING`.
    k: Number of nearest rows; one more is kept, which shows how close the
      call was.
    walk: The way through the pairs.
  """
  n = x.mask.shape
  view = {'doubtful': jnp.zeros(n, bool)}
  if NEAREST in asked:
    view['squared'] = jnp.full((*n, k + 1), jnp.inf, walk.dtype)
    view['index'] = jnp.full((*n, k + 1), NOBODY, jnp.int32)
  if BEST in asked:
    view['ratio'] = jnp.zeros(n, walk.dtype)
  counts = (name for name in asked if name != NEAREST)
  return view | {name: jnp.zeros(n, jnp.int32) for name in counts}


@functools.cache
def see(asked: tuple[str, ...], top_k: bool) -> Callable:
  """An update, as ``row_update`` of ``fold_pairs``, of such a view.

  It reads ``pair_info``, the fields of :class:`Balls` that it needs, of those
  that look or are looked at, and the place ``itself`` of a row that must not
  see itself.
  """

  def update(products, valid, own_info, other_info, view, axis):
    if 'itself' in own_info:
      index = others(other_info['index'], axis)
      valid &= index != own(own_info['itself'], axis)
    squared, slack = squared_distances(
      products, valid, own_info, other_info, axis
    )
    index = others(other_info['index'], axis)

    def mine(name):
      return own(own_info[name].astype(squared.dtype), axis)

    def theirs(name):
      return others(other_info[name].astype(squared.dtype), axis)

    def count(name, condition):
      return view[name] + condition.sum(axis, dtype=jnp.int32)

    seen, radii = dict(view), []
    if NEAREST in asked:
      kept = view['squared'], view['index']
      kept = keep_nearest(squared, index, kept, axis, top_k)
      seen['squared'], seen['index'] = kept
    if HOLDING in asked:
      radii.append(mine('radius'))
      seen[HOLDING] = count(HOLDING, squared + slack < radii[-1])
    if HELD_BY in asked:
      radii.append(theirs('radius'))
      seen[HELD_BY] = count(HELD_BY, squared + slack < radii[-1])
    if HELD_BY_CLIPPED in asked:
      radii.append(theirs('clipped'))
      inside = squared - slack <= radii[-1]
      seen[HELD_BY_CLIPPED] = count(HELD_BY_CLIPPED, inside)
    if BEST in asked:
      core = theirs('core')
      ratio = jnp.where(valid & (core > 0), core / squared, 0.0)
      best = ratio.max(axis)
      first = jnp.where(ratio == own(best, axis), index, NOBODY).min(axis)
      better = best > view['ratio']
      seen['ratio'] = jnp.where(better, best, view['ratio'])
      seen[BEST] = jnp.where(better, first, view[BEST])
    if radii:
      # Twice the rounding: of the distance, and of the radius to float32.
      close = (jnp.abs(squared - radius) <= 2 * slack for radius in radii)
      close = functools.reduce(jnp.logical_or, close)
      seen['doubtful'] |= close.any(axis)
    return seen

  return update


def merge(view: dict, other: dict) -> dict:
  """The nearest of two views of different rows."""
  kept = ((seen['squared'], seen['index']) for seen in (view, other))
  squared, index = nearest_of(*kept)
  return view | {'squared': squared, 'index': index}


def settled(queries: Rows, database: Rows, view: dict, info: dict, walk: Walk):
  """A view after the last pair, with exact distances in float64.

  Args:
    queries: Those who look.
    database: Those they look at.
    view: After all pairs.
    info: ``pair_info`` of the queries.
    walk: The way through the pairs.

  Returns:
    The view, with ``squared`` and ``index [n, k]``, ``best_squared [n]``, and
    ``doubtful [n]`` also where the last two candidates are too close for
    products of this dtype.
  """
  view = dict(view)
  partners = []
  if 'index' in view:
    view['doubtful'] |= _is_close(queries, view, info, walk)
    if BEST in view:  # Among several at zero, float32 knows no best.
      view['doubtful'] |= view['squared'][:, 1] == 0
    view['index'] = view['index'][:, :-1]
    partners.append(view['index'])
  if view.pop('ratio', None) is not None:
    partners.append(view[BEST][:, None])
  if partners:
    partners = jnp.concatenate(partners, axis=1)
    squared = pair_distances(queries, database, partners)
    if 'index' in view:
      view['squared'] = squared[:, : view['index'].shape[1]]
    if BEST in view:
      view['best_squared'] = squared[:, -1]
  return view


def _is_close(queries, view, info, walk):
  *_, last, beyond = view['squared'].astype(jnp.float64).T
  # |y|² <= 2 (|x|² + |x - y|²), whoever the candidates are.
  reach = 3 * info['norm'] + 2 * last
  width = queries.values.shape[1]
  slack = rounding(width) * jnp.finfo(walk.dtype).eps * reach
  # Not "closer than": padding has found nobody, at inf less inf.
  return queries.mask & ~(beyond - last > 2 * slack)


def look_again(
  queries: Stack,
  database: Stack,
  view: dict[str, np.ndarray],
  *,
  itself: np.ndarray | None = None,
  radius: np.ndarray | None = None,
  balls: Balls | None = None,
) -> None:
  """Lets doubtful rows look again in float64; updates ``view`` in place.

  Args:
    queries: Those who looked.
    database: Those they looked at, over the same mesh.
    view: What they saw, host arrays ``[n, ...]``.
    itself: ``[n]``, the place of a query in the database, if it has one.
    radius: ``[n]``, as of :class:`Balls`, of the queries.
    balls: Of the database.
  """
  positions = np.flatnonzero(view['doubtful'])
  if len(positions) == 0:
    return
  looked_at, number = database.rows, database.number
  taken = take_rows(queries.rows, positions)
  n = len(queries.rows.mask)
  itself = np.full(n, -1, np.int32) if itself is None else itself
  radius = np.zeros(n) if radius is None else radius
  known = [itself, radius] + ([] if number is None else [queries.number])
  known = [spread_rows(taken, each[positions]) for each in known]
  balls = Balls.none(looked_at) if balls is None else balls
  mesh = mesh_of(looked_at.values)
  # One program for whatever was asked: the nearest come first.
  k = max(NEIGHBOURS, view['index'].shape[1] if 'index' in view else 0)
  rows = taken, looked_at, known, balls, number
  options = second_look_options(mesh)
  again = _look_again(rows, database.origin, k=k, **options)
  again = jax.tree.map(to_host, again)
  mask = to_host(taken.mask)
  for name, kept in view.items():
    values = again[name][mask]
    if kept.ndim == 2:
      values = values[:, : kept.shape[1]]
    view[name] = np.array(kept)
    view[name][positions] = values


def second_look_options(mesh: Mesh) -> dict:
  """Tile and dtype of the program that repeats doubtful rows in float64."""
  return {
    'tile': (platform_of(mesh).second_look, None),
    'dtype': jnp.float64,
  }


@pair_program(static=('k',))
def _look_again(rows, origin, *, k, walk):
  queries, database, (itself, radius, *numbers), balls, number = rows
  info = pair_info(queries, origin, *numbers)
  view, _ = fold_pairs(
    queries,
    database,
    walk,
    origin=origin,
    row_update=see(EVERYTHING, walk.top_k),
    row_info=info | {'itself': itself, 'radius': radius},
    column_info=pair_info(database, origin, number) | balls._asdict(),
    row_state=start(queries, EVERYTHING, k, walk),
  )
  return settled(queries, database, view, info, walk)
