"""Sums of kernels over all pairs, for many choices of images at once."""

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.distances import (
  common_origin,
  pair_info,
  squared_distances,
)
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.pairs import fold_own_pairs, fold_pairs, others, own
from genmed_jax.engine.rows import map_rows, put_rows, Rows, spread_rows

OFFSET = 1.0  # Of the polynomial kernel.
CMMD_BANDWIDTH = 10.0  # Of the kernel of unit rows.
_SMALL_TILE = 256  # Of sets of 1000: little is computed below the diagonal.


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
  x: Rows,
  y: Rows,
  asked: list[Weighted],
  *,
  bandwidth: float = 1.0,
) -> list[Columns]:
  """MMD² of the images that each column of weights picks, kernel by kernel.

  Constants drop out of it, so kernels leave out what costs them digits.
  """
  kernels = tuple(weighted.kernel for weighted in asked)
  origin = common_origin(x)
  update = _sums(kernels)
  info = []
  for rows, weights in (
    (x, [weighted.weights_x for weighted in asked]),
    (y, [weighted.weights_y for weighted in asked]),
  ):
    weights = [spread_rows(rows, w) for w in weights]
    info.append(
      pair_info(rows, origin)
      | _kernel_info(rows, origin, bandwidth)
      | {'weights': weights}
    )
  zeros = [
    [jnp.zeros_like(w, jnp.float64) for w in each['weights']] for each in info
  ]
  own_sums = [
    fold_own_pairs(rows, update, _add, none, origin=origin, info=each)
    for rows, none, each in zip((x, y), zeros, info, strict=True)
  ]
  cross_sums = fold_pairs(
    x,
    y,
    origin=origin,
    row_update=update,
    column_update=update,
    row_info=info[0],
    column_info=info[1],
    row_state=zeros[0],
    column_state=zeros[1],
  )
  found = []
  for which in range(len(asked)):
    weights = [each['weights'][which] for each in info]
    halves = [
      _own_half(
        weights[side],
        own_sums[side][which],
        cross_sums[side][which],
        weights[1 - side],
        asked[which].diagonal,
      )
      for side in (0, 1)
    ]
    (value_x, variance_x), (value_y, variance_y) = halves
    found.append(
      Columns(*map(to_host, (value_x + value_y, variance_x, variance_y)))
    )
  return found


def union_mmd(x: Rows, y: Rows, *, origin) -> Columns:
  """Polynomial MMD² of all images of two small sets: pairs in their union.

  One triangle of small tiles, where :func:`weighted_mmd` would take three
  squares: on a CPU in two thirds of the time.

  Args:
    x: Features ``[n, d]``.
    y: Features ``[m, d]``, over the same mesh.
    origin: ``[d]``, of the products.
  """
  values, mask = (
    put_rows(x, jnp.concatenate(pair)) for pair in zip(x, y, strict=True)
  )
  union = Rows(values, mask)
  side = np.repeat([[1.0, 0.0], [0.0, 1.0]], [len(x.mask), len(y.mask)], axis=0)
  weights = put_rows(x, np.float32(side)) * mask[:, None]
  sums = fold_own_pairs(
    union,
    _sums((polynomial_kernel,)),
    _add,
    [jnp.zeros_like(weights, jnp.float64)],
    origin=origin,
    info=_kernel_info(union, origin) | {'weights': [weights]},
    tile=_SMALL_TILE,
  )[0]
  shares, variances = _own_half(
    weights, sums, sums[:, ::-1], weights[:, ::-1], None
  )
  value = shares.sum(keepdims=True)
  return Columns(*map(to_host, (value, variances[:1], variances[1:])))


def _kernel_info(x: Rows, origin, bandwidth=1.0) -> dict[str, jax.Array]:
  """Per-row values for kernels, beyond those for distances, float32."""
  return map_rows(x, _known_of_row, (origin, np.float64(bandwidth)))


def _known_of_row(row, context):
  origin, bandwidth = context
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


@jax.jit
def _own_half(weights, own_sums, cross_sums, other_weights, diagonal):
  """One set's share of MMD² and its jackknife variance, both ``[S]``."""
  weights = weights.astype(jnp.float64)
  size, other_size = weights.sum(0), other_weights.sum(0, dtype=jnp.float64)
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
