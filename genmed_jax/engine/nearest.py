"""Nearest images, in one's own set or in another.

A pass over pairs takes float32 products and keeps what it finds as
candidates. A row for which their rounding leaves any doubt is passed over
again in float64, and the distances reported are sums of squared differences:
exact copies are at distance zero, and near-duplicates keep their digits.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.distances import (
  common_origin,
  pair_distances,
  pair_info,
  rounding,
  squared_distances,
)
from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import check_count, on_feature_sets
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.pairs import fold_own_pairs, fold_pairs, others, own
from genmed_jax.engine.rows import put_rows, Rows, take_rows

NEIGHBOURS = 5  # Of each image, in metrics.

_NOBODY = np.iinfo(np.int32).max  # The row of a neighbour not yet found.


class Nearest(NamedTuple):
  """The nearest images of a set, nearest first; host arrays ``[n, k]``.

  ``squared`` distances are float64. ``index`` counts the images of that set;
  the first comes first where distances tie.
  """

  squared: np.ndarray
  index: np.ndarray


class View(NamedTuple):
  """A fold of queries over a database, with what is known of the rows of both.

  Attributes:
    rows: Queries.
    over: Database.
    update: As ``row_update`` of ``pairs.fold_pairs``.
    start: Of rows and a dtype, the state before the first pair.
    info: Of the queries.
    over_info: Of the database.
    origin: ``[d]``, of the products.
  """

  rows: Rows
  over: Rows
  update: Callable
  start: Callable
  info: dict[str, jax.Array]
  over_info: dict[str, jax.Array]
  origin: jax.Array


@on_feature_sets
def own_neighbours(x: FeatureSet, *, k: int = NEIGHBOURS) -> Nearest:
  """The ``k`` nearest other images of the same set.

  Args:
    x: Features, ``[n, d]``.
    k: Number of neighbours of each image.

  Returns:
    :class:`Nearest` of the rows that count, in order, ``[n, k]``.

  Raises:
    ValueError: if a feature is not finite or an image has no ``k`` others
      (``TooFewImages``).
  """
  check_count(k + 1, x=x)
  rows = x.rows
  origin = common_origin(rows)
  info = pair_info(rows, origin)
  aware = info | {'itself': info['index']}
  start = nearest_start(k)
  view = View(rows, rows, take_nearest, start, aware, info, origin)
  found = fold_own_pairs(
    rows,
    take_nearest,
    _merge,
    start(rows, np.float32),
    origin=origin,
    info=info,
  )
  return _settled(view, found)


@on_feature_sets(at_least=1)
def nearest_neighbours(x: FeatureSet, y: FeatureSet) -> Nearest:
  """The nearest image of ``x`` to each of ``y``.

  Args:
    x: Features, ``[n, d]``.
    y: Features, ``[m, d]``.

  Returns:
    :class:`Nearest` of the rows of ``y`` that count, in order, ``[m, 1]``.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set is empty
      (``TooFewImages``).
  """
  database, queries = x.rows, y.rows
  origin = common_origin(database)
  info = pair_info(queries, origin), pair_info(database, origin)
  view = View(queries, database, take_nearest, nearest_start(1), *info, origin)
  return _settled(view, _look(view, np.float32))


def nearest_start(k: int) -> Callable:
  """The state of a search for ``k`` neighbours before the first pair.

  One more is kept than asked for: it shows how close the call was.
  """

  def start(x: Rows, dtype) -> dict[str, jax.Array]:
    shape = len(x.mask), k + 1
    return {
      'squared': put_rows(x, np.full(shape, np.inf, dtype)),
      'index': put_rows(x, np.full(shape, _NOBODY, np.int32)),
    }

  return start


def take_nearest(products, valid, own_info, other_info, state, axis):
  """Keeps the nearest in ``state``, ``squared`` and ``index`` ``[a, k]``."""
  squared, _ = squared_distances(products, valid, own_info, other_info, axis)
  index = others(other_info['index'], axis)
  if 'itself' in own_info:
    squared = jnp.where(
      index == own(own_info['itself'], axis), jnp.inf, squared
    )
  return state | keep_nearest(squared, index, state, axis)


def keep_nearest(squared, index, state, axis):
  """The nearest of those kept and those in this tile.

  Rounds of minimum and place, each beyond the last in the order of distance
  and index, until no row finds a nearer one: several times faster on CPU than
  ``top_k``, and the first of equals comes first.
  """
  kept = state['squared'], state['index']
  k = kept[0].shape[1]

  def nearer_left(carry):
    found, _, last, _ = carry
    return (found < k) & jnp.any(last <= kept[0][:, -1])

  def next_nearest(carry):
    found, (values, places), last, place = carry
    beyond = squared > own(last, axis)
    beyond |= (squared == own(last, axis)) & (index > own(place, axis))
    last = jnp.where(beyond, squared, jnp.inf).min(axis)
    here = beyond & (squared == own(last, axis))
    place = jnp.where(here, index, _NOBODY).min(axis)
    values = values.at[:, found].set(last)
    return found + 1, (values, places.at[:, found].set(place)), last, place

  nothing = jnp.full_like(kept[0], jnp.inf), jnp.full_like(kept[1], _NOBODY)
  before = (
    jnp.full_like(kept[0][:, 0], -jnp.inf),
    jnp.full_like(kept[1][:, 0], -1),
  )
  found = lax.while_loop(nearer_left, next_nearest, (0, nothing, *before))[1]
  squared, index = _smallest(kept, found)
  return {'squared': squared, 'index': index}


def _merge(state, other):
  squared, index = _smallest(
    *((seen['squared'], seen['index']) for seen in (state, other))
  )
  return {'squared': squared, 'index': index}


def _smallest(one, other):
  """The first half of two sorted lists of distances and places."""
  both = (jnp.concatenate(pair, 1) for pair in zip(one, other, strict=True))
  return (v[:, : one[0].shape[1]] for v in lax.sort(tuple(both), num_keys=2))


def is_close(view: View, found: dict[str, np.ndarray]) -> np.ndarray:
  """Rows whose last two candidates float32 cannot tell apart, ``[n]``."""
  *_, last, beyond = found['squared'].astype(np.float64).T
  # |y|² <= 2 (|x|² + |x - y|²), whoever the candidates are.
  reach = 3 * to_host(view.info['norm']) + 2 * last
  width = view.rows.values.shape[1]
  slack = rounding(width) * np.finfo(np.float32).eps * reach
  with np.errstate(invalid='ignore'):  # Padding has found nobody.
    clear = beyond - last > 2 * slack
  return to_host(view.rows.mask) & ~clear


def _look(view: View, dtype) -> dict[str, jax.Array]:
  """The state after all pairs, with products of this dtype."""
  seen, _ = fold_pairs(
    view.rows,
    view.over,
    origin=view.origin,
    row_update=view.update,
    row_info=view.info,
    column_info=view.over_info,
    row_state=view.start(view.rows, dtype),
    dtype=dtype,
  )
  return seen


def look_again(view: View, found: dict, doubtful: np.ndarray) -> None:
  """Recomputes doubtful rows in float64; updates ``found`` in place."""
  positions = np.flatnonzero(doubtful)
  if len(positions) == 0:
    return
  taken = take_rows(view.rows, positions)
  info = {
    name: take_rows(Rows(values, view.rows.mask), positions).values
    for name, values in view.info.items()
  }
  again = _look(view._replace(rows=taken, info=info), np.float64)
  for name, values in again.items():
    found[name] = np.array(found[name])
    found[name][positions] = to_host(values)[: len(positions)]


def measure(view: View, partners: np.ndarray) -> np.ndarray:
  """Exact squared distances to chosen rows, ``[n, c]``, on the host."""
  partners = put_rows(view.rows, partners)
  return to_host(pair_distances(view.rows, view.over, partners))


def _settled(view: View, found: dict[str, jax.Array]) -> Nearest:
  found = jax.tree.map(to_host, found)
  look_again(view, found, is_close(view, found))
  return settle(view, found)


def settle(view: View, found: dict[str, np.ndarray]) -> Nearest:
  """The nearest by their exact distances, of the rows that count."""
  index = found['index'][:, :-1]
  squared = measure(view, index)
  order = np.lexsort((index, squared), axis=1)
  mask, over_mask = to_host(view.rows.mask), to_host(view.over.mask)
  rank = np.cumsum(over_mask) - 1
  squared, index = (
    np.take_along_axis(values, order, 1)[mask] for values in (squared, index)
  )
  return Nearest(squared, rank[index])
