"""Neighbourhoods of a real and a generated set in each other.

One pass over each set's own pairs and one over (real, generated) serve every
neighbour metric. Decisions are as exact as :mod:`views` makes them: a copy of
a ball's k-th neighbour lies on its surface.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from genmed_jax.engine.distances import pair_info
from genmed_jax.engine.feature_set import FeatureSet, get_each
from genmed_jax.engine.kernel import check_count, on_feature_sets
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.nearest import (
  in_order,
  Nearest,
  own_neighbours,
  own_neighbours_of_each,
)
from genmed_jax.engine.pairs import fold_pairs, pair_program
from genmed_jax.engine.stack import Stack, stacks
from genmed_jax.engine.views import (
  Balls,
  BEST,
  HELD_BY,
  HELD_BY_CLIPPED,
  HOLDING,
  look_again,
  NEAREST,
  NEIGHBOURS,
  see,
  settled,
  start,
)
from genmed_jax.metrics.base import Comparison, of_each


class Neighbourhoods(NamedTuple):
  """Counts of two sets in each other's balls; host arrays.

  The ball around an image reaches to its k-th neighbour in its own set. It is
  open: an image on its surface is outside.

  Attributes:
    real: Neighbours of real images among real ones, ``[n, k or more]``.
    generated: Neighbours of generated images in theirs, ``[m, k]``.
    holding: Generated images in each real image's ball, ``[n]``.
    held_by_generated: Generated balls that hold each real image, ``[n]``.
    held_by_real: Real balls that hold each generated image, ``[m]``.
    held_by_clipped: The same for closed real balls whose radius is clipped at
      the median radius, ``[m]``.
    nearest_real: The nearest real image of each generated one, ``[m, 1]``.
    realism: See ``prdc.realism``, ``[m]``.
    k: Which neighbour sets the radii.
    resolution: Distance within which features count as equal: on the surface
      of a ball is who comes so near it.
  """

  real: Nearest
  generated: Nearest
  holding: np.ndarray
  held_by_generated: np.ndarray
  held_by_real: np.ndarray
  held_by_clipped: np.ndarray
  nearest_real: Nearest
  realism: np.ndarray
  k: int
  resolution: float

  @property
  def is_near_copy(self) -> np.ndarray:
    """Whether a generated image equals a real one, ``[m]``."""
    return self.nearest_real.squared[:, 0] <= self.resolution**2


@on_feature_sets
def neighbourhoods(
  x: FeatureSet, y: FeatureSet, *, k: int = NEIGHBOURS, realism_k: int = 3
) -> Neighbourhoods:
  """Neighbourhoods of ``x`` and ``y``: the work behind every kNN metric.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    k: Which neighbour in its own set an image's ball reaches to.
    realism_k: The same for the balls that realism is measured by.

  Returns:
    :class:`Neighbourhoods` of the rows that count, in order. Memory is that
    of the inputs, a few tiles and ``O((n + m) k)``.

  Raises:
    ValueError: if the widths differ, a feature is not finite or an image has
      no k-th neighbour (``Undefined``).
  """
  return neighbourhoods_of_each([x], [y], k=k, realism_k=realism_k)[0]


@on_feature_sets
def neighbourhoods_of_each(
  x: Sequence[FeatureSet],
  y: Sequence[FeatureSet],
  *,
  k: int = NEIGHBOURS,
  realism_k: int = 3,
) -> list[Neighbourhoods]:
  """:func:`neighbourhoods` of many pairs of sets, together if they are small.

  Args:
    x: Real features, each ``[n, d]``.
    y: Generated features, each ``[m, d]``, as many sets.
    k: As of :func:`neighbourhoods`.
    realism_k: Likewise.
  """
  check_count(max(k, realism_k) + 1, x=x, y=y)
  for sets, most in ((x, max(k, realism_k)), (y, k)):
    get_each(sets, own_neighbours, own_neighbours_of_each, k=most)
  return [
    found
    for sides in stacks(x, y)
    for found in _of_stacks(*sides, k, realism_k)
  ]


def _of_stacks(
  x: Stack, y: Stack, k: int, realism_k: int
) -> list[Neighbourhoods]:
  own_x = [each.get(own_neighbours, k=max(k, realism_k)) for each in x.sets]
  own_y = [each.get(own_neighbours, k=k) for each in y.sets]
  resolutions = [
    max(one.resolution, other.resolution)
    for one, other in zip(x.sets, y.sets, strict=True)
  ]
  balls_x, balls_y = (
    _balls_of_stack(side, own, resolutions, k, realism_k)
    for side, own in ((x, own_x), (y, own_y))
  )
  rows = x.rows, y.rows, balls_x, balls_y, (x.number, y.number)
  seen_x, seen_y = jax.tree.map(
    to_host, _neighbourhoods(rows, x.origin, **x.options)
  )
  look_again(x, y, seen_x, radius=balls_x.radius, balls=balls_y)
  look_again(y, x, seen_y, balls=balls_x)
  return list(
    map(
      Neighbourhoods,
      own_x,
      own_y,
      x.split(seen_x[HOLDING]),
      x.split(seen_x[HELD_BY]),
      y.split(seen_y[HELD_BY]),
      y.split(seen_y[HELD_BY_CLIPPED]),
      in_order(seen_y, y, x),
      y.split(_realism(seen_y, balls_x.core)),
      len(own_x) * [k],
      resolutions,
    )
  )


def _balls_of_stack(
  x: Stack,
  own: Sequence[Nearest],
  resolutions: Sequence[float],
  k: int,
  realism_k: int,
) -> Balls:
  balls = [
    _balls(nearest, k, realism_k, resolution)
    for nearest, resolution in zip(own, resolutions, strict=True)
  ]
  return Balls(*map(x.spread, zip(*balls, strict=True)))


def _balls(own: Nearest, k: int, realism_k: int, resolution: float) -> Balls:
  """Balls of a set; those of realism are the half that is smaller.

  Open ones lose what lies within the resolution of their surface, closed ones
  gain it.
  """
  radius = own.squared[:, k - 1]
  core = own.squared[:, min(realism_k, own.squared.shape[1]) - 1]
  return Balls(
    moved(radius, -resolution),
    moved(np.minimum(radius, np.median(radius)), resolution),
    np.where(core < np.median(core), core, 0.0),
  )


def moved(squared: np.ndarray, step: float) -> np.ndarray:
  """Squares of distances that are a step longer, or down to 0 shorter."""
  if step == 0:  # A root and its square would cost the last digit.
    return squared
  return np.maximum(np.sqrt(squared) + step, 0.0) ** 2


@of_each
def of_comparison(compared: Sequence[Comparison]) -> list[Neighbourhoods]:
  """Neighbourhoods of the reference and the generated set."""
  return neighbourhoods_of_each(
    [c.reference for c in compared], [c.generated for c in compared]
  )


@pair_program()
def _neighbourhoods(rows, origin, *, walk):
  x, y, balls_x, balls_y, numbers = rows
  info_x, info_y = (
    pair_info(side, origin, number)
    for side, number in zip((x, y), numbers, strict=True)
  )
  of_real = HOLDING, HELD_BY
  of_generated = NEAREST, HELD_BY, HELD_BY_CLIPPED, BEST
  seen_x, seen_y = fold_pairs(
    x,
    y,
    walk,
    origin=origin,
    row_update=see(of_real, walk.top_k),
    column_update=see(of_generated, walk.top_k),
    row_info=info_x | balls_x._asdict(),
    column_info=info_y | balls_y._asdict(),
    row_state=start(x, of_real, 0, walk),
    column_state=start(y, of_generated, 1, walk),
  )
  return (
    settled(x, y, seen_x, info_x, walk),
    settled(y, x, seen_y, info_y, walk),
  )


def _realism(seen: dict[str, np.ndarray], ball: np.ndarray) -> np.ndarray:
  ball = ball[seen[BEST]]
  with np.errstate(divide='ignore', invalid='ignore'):
    return np.where(ball > 0, np.sqrt(ball / seen['best_squared']), 0.0)
