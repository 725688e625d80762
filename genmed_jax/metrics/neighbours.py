"""Neighbourhoods of a real and a generated set in each other.

One pass over each set's own pairs and one over (real, generated) serve every
neighbour metric. Passes are float32; an image for which any decision was too
close to call is passed over again in float64. What that cannot tell apart is
equal: a copy of a ball's k-th neighbour lies on its surface.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.distances import (
  common_origin,
  pair_info,
  squared_distances,
)
from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import check_count, on_feature_sets
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.nearest import (
  is_close,
  keep_nearest,
  look_again,
  measure,
  Nearest,
  nearest_start,
  NEIGHBOURS,
  own_neighbours,
  settle,
  View,
)
from genmed_jax.engine.pairs import fold_pairs, others, own
from genmed_jax.engine.rows import put_rows, Rows, spread_rows
from genmed_jax.metrics.base import Comparison


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
      no k-th neighbour (``TooFewImages``).
  """
  check_count(max(k, realism_k) + 1, x=x, y=y)
  own_x = x.get(own_neighbours, k=max(k, realism_k))
  own_y = y.get(own_neighbours, k=k)
  x, y = x.rows, y.rows
  origin = common_origin(x)
  info_x, info_y = pair_info(x, origin), pair_info(y, origin)
  radius = own_x.squared[:, k - 1]
  info_x['radius'] = spread_rows(x, radius)
  info_x['clipped'] = spread_rows(x, np.minimum(radius, np.median(radius)))
  ball = _smaller_half(own_x.squared[:, realism_k - 1])
  info_x['ball'] = spread_rows(x, ball)
  info_y['radius'] = spread_rows(y, own_y.squared[:, k - 1])
  real = View(x, y, _see_generated, _nothing_generated, info_x, info_y, origin)
  generated = View(y, x, _see_real, _nothing_real, info_y, info_x, origin)
  seen = fold_pairs(
    x,
    y,
    origin=origin,
    row_update=real.update,
    column_update=generated.update,
    row_info=info_x,
    column_info=info_y,
    row_state=real.start(x, np.float32),
    column_state=generated.start(y, np.float32),
  )
  seen_x, seen_y = jax.tree.map(to_host, seen)
  look_again(real, seen_x, seen_x['doubtful'])
  look_again(
    generated, seen_y, seen_y['doubtful'] | is_close(generated, seen_y)
  )
  mask_x, mask_y = to_host(x.mask), to_host(y.mask)
  return Neighbourhoods(
    own_x,
    own_y,
    seen_x['holding'][mask_x],
    seen_x['held_by'][mask_x],
    seen_y['held_by'][mask_y],
    seen_y['held_by_clipped'][mask_y],
    settle(generated, seen_y),
    _realism(generated, seen_y)[mask_y],
    k,
  )


def of_comparison(c: Comparison) -> Neighbourhoods:
  """Neighbourhoods of the reference and the generated set."""
  return neighbourhoods(c.reference, c.generated)


def _smaller_half(radius: np.ndarray) -> np.ndarray:
  """Radii below their median; 0 for the rest."""
  return np.where(radius < np.median(radius), radius, 0.0)


def _nothing_generated(x: Rows, _) -> dict[str, jax.Array]:
  """State of the real images before the first generated one."""
  return _zeros(x, holding=np.int32, held_by=np.int32, doubtful=bool)


def _nothing_real(y: Rows, dtype) -> dict[str, jax.Array]:
  """State of the generated images before the first real one."""
  return nearest_start(1)(y, dtype) | _zeros(
    y,
    held_by=np.int32,
    held_by_clipped=np.int32,
    doubtful=bool,
    ratio=dtype,
    ratio_index=np.int32,
  )


def _zeros(x: Rows, **dtypes) -> dict[str, jax.Array]:
  return {
    name: put_rows(x, np.zeros(len(x.mask), dtype))
    for name, dtype in dtypes.items()
  }


def _see_generated(products, valid, own_info, other_info, seen, axis):
  squared, slack = squared_distances(
    products, valid, own_info, other_info, axis
  )
  radius = own(own_info['radius'].astype(squared.dtype), axis)
  other_radius = others(other_info['radius'].astype(squared.dtype), axis)
  close = _is_close(squared, radius, slack)
  close |= _is_close(squared, other_radius, slack)
  held = squared + slack < other_radius
  return {
    'holding': seen['holding'] + _count(squared + slack < radius, axis),
    'held_by': seen['held_by'] + _count(held, axis),
    'doubtful': seen['doubtful'] | close.any(axis),
  }


def _see_real(products, valid, own_info, other_info, seen, axis):
  squared, slack = squared_distances(
    products, valid, own_info, other_info, axis
  )
  index = others(other_info['index'], axis)
  radius, clipped, ball = (
    others(other_info[name].astype(squared.dtype), axis)
    for name in ('radius', 'clipped', 'ball')
  )
  close = _is_close(squared, radius, slack)
  close |= _is_close(squared, clipped, slack)
  held_by_clipped = _count(squared - slack <= clipped, axis)
  ratio = jnp.where(valid & (ball > 0), ball / squared, 0.0)
  best = ratio.max(axis)
  first = jnp.where(ratio == own(best, axis), index, index.max()).min(axis)
  better = best > seen['ratio']
  return keep_nearest(squared, index, seen, axis) | {
    'held_by': seen['held_by'] + _count(squared + slack < radius, axis),
    'held_by_clipped': seen['held_by_clipped'] + held_by_clipped,
    'doubtful': seen['doubtful'] | close.any(axis),
    'ratio': jnp.where(better, best, seen['ratio']),
    'ratio_index': jnp.where(better, first, seen['ratio_index']),
  }


def _is_close(squared, radius, slack):
  """Whether a float32 distance leaves open which side of a radius it is.

  Twice the rounding: of the distance, and of the radius to float32.
  """
  return jnp.abs(squared - radius) <= 2 * slack


def _count(condition, axis):
  return condition.sum(axis, dtype=jnp.int32)


def _realism(generated: View, seen: dict[str, np.ndarray]) -> np.ndarray:
  best = seen['ratio_index']
  squared = measure(generated, best[:, None])[:, 0]
  ball = to_host(generated.over_info['ball'])[best]
  with np.errstate(divide='ignore', invalid='ignore'):
    return np.where(ball > 0, np.sqrt(ball / squared), 0.0)
