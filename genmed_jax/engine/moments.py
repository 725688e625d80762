"""Mean and covariance of a feature set."""

from collections.abc import Callable
import functools
import itertools
from typing import NamedTuple

from jax import lax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.mesh import DATA_AXIS, mesh_of, to_host
from genmed_jax.engine.platforms import platform_of
from genmed_jax.engine.program import program
from genmed_jax.engine.rows import fold_rows, Rows, TILE
from genmed_jax.engine.tiles import end_of, fold_tiles

_BLOCKS = 8  # Of features, in a row of the covariance.
_TILE = 1024  # Rows multiplied at once: few passes over the blocks.


class Moments(NamedTuple):
  """First and second moments of rows about a centre; float64, on the host.

  Moments of disjoint rows add up, and subtract, about the centre of the first.

  Attributes:
    centre: ``[d]``.
    count: How many rows.
    total: Sum of the rows about the centre, ``[d]``.
    scatter: Sum of their outer products, ``[d, d]``.
  """

  centre: np.ndarray
  count: int
  total: np.ndarray
  scatter: np.ndarray

  @property
  def mean(self) -> np.ndarray:
    """Mean of the rows, ``[d]``."""
    return self.centre + self.total / self.count

  @property
  def covariance(self) -> np.ndarray:
    """Unbiased covariance of the rows, ``[d, d]``."""
    # In place: fresh pages of memory take longer than the arithmetic.
    covariance = np.outer(self.total, self.total / -self.count)
    covariance += self.scatter
    covariance /= self.count - 1
    return covariance

  def __add__(self, other: 'Moments') -> 'Moments':
    """Moments of the rows of both."""
    return self._merged(other, 1)

  def __sub__(self, other: 'Moments') -> 'Moments':
    """Moments of the rows that are not in ``other``."""
    return self._merged(other, -1)

  def about(self, centre: np.ndarray) -> 'Moments':
    r"""The same rows about another centre.

    .. math:: S' = S + t \delta^\top + \delta t^\top + n \delta \delta^\top,
      \quad t' = t + n \delta, \quad \delta = c - c'
    """
    if np.array_equal(self.centre, centre):
      return self
    step = self.centre - centre
    total = self.total + self.count * step
    scatter = self.scatter + np.outer(self.total, step) + np.outer(step, total)
    return Moments(centre, self.count, total, scatter)

  def _merged(self, other: 'Moments', sign: int) -> 'Moments':
    others = (sign * value for value in other.about(self.centre)[1:])
    return Moments(self.centre, *map(np.add, self[1:], others))


class RowStatistics(NamedTuple):
  """Sums over the rows of a set, on the host, out of one pass.

  Attributes:
    count: How many rows count.
    is_finite: Whether all of their features are finite.
    mean: ``[d]`` float64.
    total_variance: Mean squared distance from the mean.
  """

  count: int
  is_finite: bool
  mean: np.ndarray
  total_variance: float


def row_statistics(x: Rows) -> RowStatistics:
  """Count, finiteness, mean and total variance; call with x64 enabled."""
  count, mean, squares = map(to_host, _row_statistics(x))
  count = int(count)
  # A mean has what a row has: float64 does not overflow on the way.
  finite = bool(np.isfinite(mean).all())
  variance = float(squares) / count if count else 0.0
  return RowStatistics(count, finite, mean, variance)


@program(out=mesh_lib.REPLICATED)
def _row_statistics(x, context):
  del context
  end = end_of(x.mask)
  # About a row of the set, so that an offset costs no digits.
  first = jnp.argmax(x.mask)
  centre = jnp.where(x.mask[first], x.values[first], 0).astype(jnp.float64)
  nothing = jnp.zeros((), jnp.int32), jnp.zeros_like(centre), 0.0

  def one_tile(rows, fresh, sums):
    count, total, squares = sums
    valid = rows.mask & fresh
    # Padding may hold a NaN, which no weight of zero takes out of a sum.
    centred = jnp.where(valid[:, None], rows.values - centre, 0.0)
    return (
      count + valid.sum(dtype=jnp.int32),
      total + centred.sum(axis=0),
      squares + jnp.sum(centred**2),
    )

  count, total, squares = fold_tiles(x, one_tile, nothing, tile=TILE, end=end)
  # The devices' means and spreads make those of all.
  everyone = lax.psum(count, DATA_AXIS)
  count = count.astype(jnp.float64)
  drift = total / jnp.maximum(count, 1)
  mean = lax.psum(count * (centre + drift), DATA_AXIS) / jnp.maximum(
    everyone, 1
  )
  apart = centre + drift - mean
  spread = squares + count * (apart @ apart - drift @ drift)
  return everyone, mean, jnp.maximum(lax.psum(spread, DATA_AXIS), 0.0)


def moments(
  x: Rows, *, centre: np.ndarray | None = None, dtype=None
) -> Moments:
  r"""Moments of the rows of ``x`` that count.

  .. math:: S = \sum_i (x_i - c)(x_i - c)^\top

  Centred before it is squared and summed in float64, so neither a common
  offset nor the order, tiling or placement of the rows shows in the result
  beyond 1e-14. Call with x64 enabled.

  Args:
    x: Rows ``[n, d]``.
    centre: ``[d]``; the mean if None.
    dtype: Of the products of a tile. float64 where the devices compute in
      it; float32 where they only emulate it, which changes a covariance by
      1e-7 of its largest entry, and the Fréchet distance of two sets of full
      rank (10000 x 2048) by 4e-9 relative.
  """
  count, _, mean, _ = row_statistics(x)
  centre = mean if centre is None else centre
  scatter = outer_products(x, _about, centre, dtype=dtype)
  return Moments(centre, count, count * (mean - centre), scatter)


def outer_products(
  x: Rows, prepare: Callable, context, *, dtype=None
) -> np.ndarray:
  """Sum of the outer products of prepared rows, ``[d, d]`` float64, host.

  Only blocks on and above the diagonal are computed, little more than half.

  Args:
    x: Rows ``[n, d]``.
    prepare: Pure ``(values [a, d] float64, context) -> [a, d]``.
    context: What every tile sees whole.
    dtype: As of :func:`moments`.
  """
  width = x.values.shape[1]
  if dtype is None:
    fast = platform_of(mesh_of(x.values)).float64
    dtype = jnp.float64 if fast else jnp.float32
  pairs = _block_pairs(width)
  products = np.zeros((width, width))
  zeros = [np.zeros_like(products[a, b]) for a, b in pairs]
  update = _outer_update(prepare, width, dtype)
  blocks = fold_rows(x, update, zeros, context=context, tile=_TILE)
  for (a, b), values in zip(pairs, blocks, strict=True):
    products[a, b] = values
    products[b, a] = values.T
  return products


def _about(values, centre):
  return values - centre


def _block_pairs(width: int) -> list[tuple[slice, slice]]:
  """Pairs of feature ranges of the blocks on and above the diagonal."""
  size = -(-width // _BLOCKS)
  blocks = [slice(i, min(i + size, width)) for i in range(0, width, size)]
  return list(itertools.combinations_with_replacement(blocks, 2))


@functools.cache
def _outer_update(prepare: Callable, width: int, dtype):
  """Adds ``x.T @ x`` to its blocks on and above the diagonal."""

  def update(values, valid, info, context, blocks):
    del info
    rows = jnp.where(valid[:, None], prepare(values, context), 0.0)
    # Features first, so that each block lies together: on a CPU, panels of
    # columns take a quarter longer to copy and multiply.
    features = rows.astype(dtype).T
    return [
      total
      + jnp.matmul(features[a], features[b].T, precision=lax.Precision.HIGHEST)
      for (a, b), total in zip(_block_pairs(width), blocks, strict=True)
    ]

  return update
