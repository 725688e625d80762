"""Sums of kernels over all pairs, for many choices of images at once."""

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.distances import pair_info, squared_distances
from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.pairs import (
  fold_own_pairs,
  fold_pairs,
  others,
  own,
  pair_program,
)
from genmed_jax.engine.rows import Rows, spread_rows, TILE
from genmed_jax.engine.tiles import end_of, map_tiles

OFFSET = 1.0  # Of the polynomial kernel.
CMMD_BANDWIDTH = 10.0  # Of the kernel of unit rows.
_UNION_TILE = 250, 250  # Little is computed below the diagonal.


class Columns(NamedTuple):
  """For each of S weightings: MMD² and the two jackknife variances, ``[S]``."""

  value: np.ndarray
  variance_x: np.ndarray
  variance_y: np.ndarray


class Weighted(NamedTuple):
  """A kernel, and the images whose pairs it is summed over.

  Attributes:
    kernel: Of tiles of products, and what is known of their rows and columns.
    weights_x: 0/1, ``[n, S]``.
    weights_y: 0/1, ``[m, S]``.
    diagonal: The kernel of an image with itself, where such pairs count.
  """

  kernel: Callable
  weights_x: np.ndarray
  weights_y: np.ndarray
  diagonal: float | None = None


def weighted_mmd(
  x: FeatureSet,
  y: FeatureSet,
  asked: list[Weighted],
  bandwidth: float = 1.0,
) -> list[Columns]:
  """MMD² of the images that each column of weights picks, kernel by kernel.

  Constants drop out of it, so kernels leave out what costs them digits.
  """
  kernels = tuple(weighted.kernel for weighted in asked)
  context = x.origin, np.float64(bandwidth)
  weights = [
    [spread_rows(side.rows, w) for w in given]
    for side, given in (
      (x, [weighted.weights_x for weighted in asked]),
      (y, [weighted.weights_y for weighted in asked]),
    )
  ]
  x, y = x.rows, y.rows
  own_sums = [
    _own_sums((rows, given), context, kernels=kernels)
    for rows, given in zip((x, y), weights, strict=True)
  ]
  cross_sums = _cross_sums((x, y, *weights), context, kernels=kernels)
  own_sums, cross_sums = jax.tree.map(to_host, (own_sums, cross_sums))
  found = []
  for which, weighted in enumerate(asked):
    (value_x, variance_x), (value_y, variance_y) = (
      _own_half(
        weights[side][which],
        own_sums[side][which],
        cross_sums[side][which],
        weights[1 - side][which],
        weighted.diagonal,
      )
      for side in (0, 1)
    )
    found.append(Columns(value_x + value_y, variance_x, variance_y))
  return found


def union_mmd(x: Rows, y: Rows, *, origin: np.ndarray) -> Columns:
  """Polynomial MMD² of all images of two small sets: pairs in their union.

  One triangle of small tiles, where :func:`weighted_mmd` would take three
  squares: on a CPU in two thirds of the time.

  Args:
    x: Features ``[n, d]``.
    y: Features ``[m, d]``, over the same mesh.
    origin: ``[d]``, of the products.
  """
  sides, sums = _union_sums((x, y), origin, tile=_UNION_TILE)
  sides, sums = to_host(sides), to_host(sums)
  shares, variances = _own_half(
    sides, sums, sums[:, ::-1], sides[:, ::-1], None
  )
  return Columns(shares.sum(keepdims=True), variances[:1], variances[1:])


@pair_program(own=True, static=('kernels',))
def _own_sums(rows, context, *, kernels, walk):
  x, weights = rows
  origin, bandwidth = context
  return fold_own_pairs(
    x,
    walk,
    _sums(kernels),
    _add,
    _nothing(weights),
    origin=origin,
    info=_kernel_info(x, origin, bandwidth) | {'weights': weights},
  )


@pair_program(static=('kernels',))
def _cross_sums(rows, context, *, kernels, walk):
  x, y, weights_x, weights_y = rows
  origin, bandwidth = context
  return fold_pairs(
    x,
    y,
    walk,
    origin=origin,
    row_update=_sums(kernels),
    column_update=_sums(kernels),
    row_info=_kernel_info(x, origin, bandwidth) | {'weights': weights_x},
    column_info=_kernel_info(y, origin, bandwidth) | {'weights': weights_y},
    row_state=_nothing(weights_x),
    column_state=_nothing(weights_y),
  )


@pair_program()
def _union_sums(rows, origin, *, walk):
  x, y = rows
  end = end_of(x.mask)  # Without a gap: loops go to the last that counts.
  union = jax.tree.map(
    lambda a, b: lax.dynamic_update_slice_in_dim(
      jnp.concatenate([a, jnp.zeros_like(b)]), b, end, 0
    ),
    x,
    y,
  )
  is_x = jnp.arange(len(union.mask)) < end
  side = jnp.stack([is_x, ~is_x], axis=1) * union.mask[:, None]
  side = side.astype(jnp.float32)
  sums = fold_own_pairs(
    union,
    walk,
    _sums((polynomial_kernel,)),
    _add,
    _nothing([side]),
    origin=origin,
    info=_kernel_info(union, origin, 1.0) | {'weights': [side]},
  )
  return side, sums[0]


def _nothing(weights: list[jax.Array]) -> list[jax.Array]:
  """Sums over no pairs."""
  return [jnp.zeros_like(w, jnp.float64) for w in weights]


def _kernel_info(x: Rows, origin, bandwidth) -> dict[str, jax.Array]:
  """Per-row values for kernels and distances."""

  def of_tile(values):
    return jax.vmap(_known_of_row, (0, None, None))(
      values.astype(jnp.float64), origin, bandwidth
    )

  known = map_tiles(x.values, of_tile, tile=TILE, end=end_of(x.mask))
  return pair_info(x, origin) | known


def _known_of_row(row, origin, bandwidth):
  width = row.shape[0]
  length = jnp.sqrt(row @ row)
  known = {
    'per_width': 1 / width,
    'linear': (row - origin) @ origin / width,
    'at_origin': origin @ origin / width + OFFSET,
    'sharpness': 1 / (2 * bandwidth**2),
    'unit': jnp.where(length > 0, width**0.5 / length, 0) / CMMD_BANDWIDTH,
    'unit_half': (length > 0) / (2 * CMMD_BANDWIDTH**2),
  }
  return {name: jnp.float32(value) for name, value in known.items()}


@functools.cache
def _sums(kernels: tuple[Callable, ...]) -> Callable:
  """Adds ``K @ others' weights`` to the state, for each kernel."""

  def update(products, valid, own_info, other_info, state, axis):
    # Spelled alike for both of its sides, so that XLA computes a tile once.
    row, column = (own_info, other_info)[:: 1 if axis else -1]
    sums = []
    for kernel, weights, total in zip(
      kernels, other_info['weights'], state, strict=True
    ):
      values = jnp.where(valid, kernel(products, row, column), 0.0)
      if weights.shape[1] == 1:
        weighted = values * others(weights[:, 0], axis)
        added = weighted.sum(axis, dtype=total.dtype)[:, None]
      else:
        added = lax.dot_general(
          values,
          weights,
          (((axis,), (0,)), ((), ())),
          precision=lax.Precision.HIGHEST,
        )
      sums.append(total + added)
    return sums

  return update


def polynomial_kernel(products, row, column):
  """(x·y/d + 1)³ less its value at the origin of the products.

  With u = |c|²/d + 1 there and s the rest, that is s (3 u² + s (3 u + s)).
  """
  linear = own(row['linear'], 1) + others(column['linear'], 1)
  s = products * own(row['per_width'], 1) + linear
  u = own(row['at_origin'], 1)
  return s * (3 * u**2 + s * (3 * u + s))


def gaussian_kernel(products, row, column):
  """exp(-|x - y|² / 2 sigma²) less 1, its value on the diagonal."""
  squared, _ = squared_distances(products, True, row, column, 1)
  return jnp.expm1(-own(row['sharpness'], 1) * squared)


def unit_gaussian_kernel(products, row, column):
  """:func:`gaussian_kernel` of rows brought to length one, at CMMD's width.

  Rows of zeros stay. The exponent is within 1/50, where four terms of the
  series have every digit of float32, at a fraction of the cost of ``expm1``.
  """
  linear = own(row['linear'], 1) + others(column['linear'], 1)
  s = products * own(row['per_width'], 1) + linear
  mean_product = s + (own(row['at_origin'], 1) - OFFSET)
  exponent = mean_product * own(row['unit'], 1) * others(column['unit'], 1)
  exponent -= own(row['unit_half'], 1) + others(column['unit_half'], 1)
  series = 1 + exponent / 3 * (1 + exponent / 4)
  return exponent * (1 + exponent / 2 * series)


def _add(state, other):
  return jax.tree.map(jnp.add, state, other)


def _own_half(weights, own_sums, cross_sums, other_weights, diagonal):
  """One set's share of MMD² and its jackknife variance, both ``[S]``."""
  size, other_size = (
    w.sum(axis=0, dtype=np.float64) for w in (weights, other_weights)
  )
  if diagonal is None:
    own_mean = own_sums / (size - 1)
  else:
    own_mean = (own_sums + diagonal) / size
  slope = weights * (own_mean - cross_sums / other_size)
  value = slope.sum(0) / size
  spread = weights * (slope - value) ** 2
  return value, 4 * spread.sum(0) / (size - 1)


def everyone(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
  """Weights that pick all of n and m images, ``[n, 1]`` and ``[m, 1]``."""
  return np.ones((n, 1), np.float32), np.ones((m, 1), np.float32)
