"""The nearest of a tile of distances, and of those that were found before."""

import math

from jax import lax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.pairs import others, own

NOBODY = np.iinfo(np.int32).max  # The row of a neighbour not yet found.
_GROUP = 16  # Rows of a tile whose least distance is looked at first.


def keep_nearest(squared, index, kept, axis: int, top_k: bool):
  """The nearest of those kept and those of a tile; the first of equals.

  A group of rows that is not among the ``k`` of the least minima holds none of
  the ``k`` nearest. So minima are searched first, then the rows of ``k``
  groups: a few passes over the tile where each neighbour took two.

  Args:
    squared: Distances of a tile ``[a, b]``.
    index: Of those at these distances, one row or column, ascending.
    kept: Distances and indices ``[n, k]``, sorted.
    axis: Of the tile, along which the nearest are.
    top_k: Whether by ``lax.top_k``.

  Returns:
    Distances and indices ``[n, k]``, sorted.
  """
  k, last = kept[0].shape[1], kept[0][:, -1]
  if top_k:
    rows = squared if axis else squared.T
    found, at = lax.top_k(-rows, min(k, rows.shape[1]))
    return nearest_of(kept, (-found, index.reshape(-1)[at]))
  count = squared.shape[axis]
  size = math.gcd(count, _GROUP)
  shape = list(squared.shape)
  shape[axis : axis + 1] = count // size, size
  minima = squared.reshape(shape).min(axis + 1)
  groups = others(jnp.arange(count // size, dtype=jnp.int32), axis)
  _, chosen = _nearest_first(minima, groups, last, k, axis)
  members = chosen[:, :, None] * size + jnp.arange(size, dtype=jnp.int32)
  members = members.reshape(len(chosen), -1)
  nobody = jnp.repeat(chosen == NOBODY, size, axis=1)
  if axis == 0:
    members, nobody = members.T, nobody.T
  members = jnp.where(nobody, 0, members)
  found = jnp.take_along_axis(squared, members, axis)
  found = jnp.where(nobody, jnp.inf, found)
  places = jnp.where(nobody, NOBODY, index.reshape(-1)[members])
  return nearest_of(kept, _nearest_first(found, places, last, k, axis))


def _nearest_first(squared, index, last_kept, k, axis):
  """The ``k`` nearest by distance and index, ``[n, k]``, and their indices.

  Rounds of minimum and place, each beyond the last, until no row finds one as
  near as the last that it has kept: the rest are at inf.
  """

  def nearer_left(carry):
    found, _, last, _ = carry
    return (found < k) & jnp.any(last <= last_kept)

  def next_nearest(carry):
    found, (values, places), last, place = carry
    beyond = squared > own(last, axis)
    beyond |= (squared == own(last, axis)) & (index > own(place, axis))
    last = jnp.where(beyond, squared, jnp.inf).min(axis)
    here = beyond & (squared == own(last, axis))
    place = jnp.where(here, index, NOBODY).min(axis)
    values = values.at[:, found].set(last)
    return found + 1, (values, places.at[:, found].set(place)), last, place

  n = len(last_kept)
  found = (
    jnp.full((n, k), jnp.inf, squared.dtype),
    jnp.full((n, k), NOBODY, jnp.int32),
  )
  before = jnp.full(n, -jnp.inf, squared.dtype), jnp.full(n, -1, jnp.int32)
  return lax.while_loop(nearer_left, next_nearest, (0, found, *before))[1]


def nearest_of(one, other):
  """The first half of two sorted lists of distances and places."""
  both = (jnp.concatenate(pair, 1) for pair in zip(one, other, strict=True))
  squared, index = lax.sort(tuple(both), num_keys=2)
  k = one[0].shape[1]
  return squared[:, :k], index[:, :k]
