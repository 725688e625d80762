"""Nearest images, in one's own set or in another; see :mod:`views`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.distances import pair_info
from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import check_count, on_feature_sets
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.pairs import fold_own_pairs, fold_pairs, pair_program
from genmed_jax.engine.rows import Rows
from genmed_jax.engine.views import (
  look_again,
  merge,
  NEAREST,
  NEIGHBOURS,
  see,
  settled,
  start,
)


class Nearest(NamedTuple):
  """The nearest images of a set, nearest first; host arrays ``[n, k]``.

  ``squared`` distances are float64. ``index`` counts the images of that set;
  the first comes first where distances tie.
  """

  squared: np.ndarray
  index: np.ndarray


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
      (``Undefined``).
  """
  check_count(k + 1, x=x)
  rows, origin = x.rows, x.origin
  view = jax.tree.map(to_host, _own_nearest((rows,), origin, k=k))
  places = np.arange(len(rows.mask), dtype=np.int32)
  look_again(rows, rows, origin, view, itself=places)
  return in_order(view, rows, rows)


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
      (``Undefined``).
  """
  return search(y.rows, x.rows, x.origin)


def search(
  queries: Rows, database: Rows, origin: np.ndarray, *, dtype=jnp.float32
) -> Nearest:
  """The nearest row of a database to each query, ``[n, 1]``.

  Args:
    queries: Rows ``[n, d]``.
    database: Rows ``[m, d]``, over the same mesh, one at least.
    origin: ``[d]``, near the rows.
    dtype: Of the products; float64 needs no second look, which is faster
      where rows are narrow.
  """
  view = _nearest((queries, database), origin, dtype=dtype)
  view = jax.tree.map(to_host, view)
  if dtype != jnp.float64:
    look_again(queries, database, origin, view)
  return in_order(view, queries, database)


def in_order(view: dict, queries: Rows, database: Rows) -> Nearest:
  """The nearest by their exact distances, of the rows that count."""
  squared, index = view['squared'], view['index']
  order = np.lexsort((index, squared), axis=1)
  mask = to_host(queries.mask)
  rank = np.cumsum(to_host(database.mask)) - 1
  squared, index = (
    np.take_along_axis(values, order, 1)[mask] for values in (squared, index)
  )
  return Nearest(squared, rank[index])


@pair_program(own=True, static=('k',))
def _own_nearest(rows, origin, *, k, walk):
  (x,) = rows
  info = pair_info(x, origin)
  view = fold_own_pairs(
    x,
    walk,
    see((NEAREST,), walk.top_k),
    merge,
    start(x, (NEAREST,), k, walk),
    origin=origin,
    info=info,
  )
  return settled(x, x, view, info, walk)


@pair_program()
def _nearest(rows, origin, *, walk):
  queries, database = rows
  info = pair_info(queries, origin)
  view, _ = fold_pairs(
    queries,
    database,
    walk,
    origin=origin,
    row_update=see((NEAREST,), walk.top_k),
    row_info=info,
    column_info=pair_info(database, origin),
    row_state=start(queries, (NEAREST,), 1, walk),
  )
  return settled(queries, database, view, info, walk)
