"""Nearest images, in one's own set or in another; see :mod:`views`."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.distances import pair_info
from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import check_count, on_feature_sets
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.pairs import fold_own_pairs, fold_pairs, pair_program
from genmed_jax.engine.stack import Stack, stacks
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
  return own_neighbours_of_each([x], k=k)[0]


@on_feature_sets
def own_neighbours_of_each(
  x: Sequence[FeatureSet], *, k: int = NEIGHBOURS
) -> list[Nearest]:
  """:func:`own_neighbours` of many sets; of small ones by a single program."""
  check_count(k + 1, x=x)
  return [found for (stack,) in stacks(x) for found in _own_of_stack(stack, k)]


def _own_of_stack(x: Stack, k: int) -> list[Nearest]:
  rows, origin = x.rows, x.origin
  view = _own_nearest((rows, x.number), origin, k=k, **x.options)
  view = jax.tree.map(to_host, view)
  places = np.arange(len(rows.mask), dtype=np.int32)
  look_again(x, x, view, itself=places)
  return in_order(view, x, x)


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
  return search([y], [x])[0]


def search(
  queries: Sequence[FeatureSet],
  databases: Sequence[FeatureSet],
  *,
  origin: np.ndarray | None = None,
  dtype=jnp.float32,
) -> list[Nearest]:
  """The nearest image of each database to its queries, ``[n, 1]``.

  Args:
    queries: Features, each ``[n, d]``.
    databases: Features, each ``[m, d]`` with one image at least, as many and
      over the same mesh.
    origin: ``[d]`` of the products, near the images; a database's if None.
    dtype: Of the products; float64 needs no second look, which is faster
      where rows are narrow.
  """
  found = []
  for of, among in stacks(queries, databases):
    rows = of.rows, among.rows, (of.number, among.number)
    about = among.origin if origin is None else origin
    view = jax.tree.map(
      to_host, _nearest(rows, about, dtype=dtype, **of.options)
    )
    if dtype != jnp.float64:
      look_again(of, among, view)
    found += in_order(view, of, among)
  return found


def in_order(view: dict, queries: Stack, database: Stack) -> list[Nearest]:
  """The nearest by their exact distances, of the images of each set."""
  squared, index = view['squared'], view['index']
  order = np.lexsort((index, squared), axis=1)
  squared, index = (
    queries.split(np.take_along_axis(values, order, 1))
    for values in (squared, index)
  )
  ranks = (database.rank[places] for places in index)
  return list(map(Nearest, squared, ranks))


@pair_program(own=True, static=('k',))
def _own_nearest(rows, origin, *, k, walk):
  x, number = rows
  info = pair_info(x, origin, number)
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
  queries, database, numbers = rows
  info, among = map(pair_info, (queries, database), 2 * (origin,), numbers)
  view, _ = fold_pairs(
    queries,
    database,
    walk,
    origin=origin,
    row_update=see((NEAREST,), walk.top_k),
    row_info=info,
    column_info=among,
    row_state=start(queries, (NEAREST,), 1, walk),
  )
  return settled(queries, database, view, info, walk)
