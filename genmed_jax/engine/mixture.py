"""Mixtures of isotropic Gaussians whose variances are fitted by Adam.

The distances from the images being fitted to the centres are held, float32,
their rows laid over the devices; each step of the fit is one sweep over them,
tile by tile, in closed form: no graph is recorded and nothing else is stored.
"""

import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.distances import rounding
from genmed_jax.engine.mesh import DATA_AXIS, to_host
from genmed_jax.engine.program import program
from genmed_jax.engine.rows import host_rows, Rows
from genmed_jax.engine.tiles import end_of, fold_tiles, map_tiles

SHRINK = 0.9**2  # Of squared distances to a last centre, where it is shrunk.

_SWEPT = 64  # Rows of distances taken at once: what a core's cache holds.
_EVALUATED = 1024  # Rows whose distances are computed at once.

_summed = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)


class Fit(NamedTuple):
  """Options of the fit of variances.

  Attributes:
    steps: Of Adam, at most.
    rate: Its learning rate.
    decay_after: Steps after which the rate is a tenth.
    clamp: Bounds of a log variance.
    per_dimension: Whether the loss is divided by the features' width, which
      Adam's epsilon sees.
    from_nearest: Whether a component starts from its distance to the nearest
      image, not from 0, and the last column is one too, of weight one.
    floor: Added to that distance.
    tolerance: After six steps the fit ends where the loss per dimension has
      stayed this close for five; never if 0.
  """

  steps: int
  rate: float
  decay_after: int
  clamp: tuple[float, float]
  per_dimension: bool
  from_nearest: bool
  floor: float
  tolerance: float


def squared_distances_to(
  x: Rows, centres: np.ndarray, shrunk: np.ndarray | None = None
) -> jax.Array:
  """Squared distances float32, ``[n, padded_centres(m) + 1]``, laid as ``x``.

  What float32 products cannot tell from zero is zero: a mixture fitted to its
  own centres must see them.

  Args:
    x: Rows ``[n, d]`` float32, of about zero mean.
    centres: ``[m, d]``, float32.
    shrunk: A last centre ``[d]``, for the last column, whose distances are
      multiplied by :data:`SHRINK`.
  """
  padded = _pad_centres(centres)
  scale = np.ones(len(padded), np.float32)
  if shrunk is not None:
    padded[-1], scale[-1] = shrunk, SHRINK
  return _distances(x, (padded, scale))


def fit_log_variances(
  distances: jax.Array, mask: jax.Array, width: int, count: int, fit: Fit
) -> np.ndarray:
  """Log variances that make the images likely, ``[count]``.

  Args:
    distances: From :func:`squared_distances_to`.
    mask: ``[n]``.
    width: Of the features.
    count: Number of components, of equal weight.
    fit: Options of the fit.
  """
  weights = _pad(_equal_weights(count), distances.shape[1], -np.inf)
  weights[-1] = 0.0 if fit.from_nearest else -np.inf
  fitted = _fit((distances, mask), (weights, fit, width))
  return to_host(fitted)[:count]


def negative_log_likelihoods(
  x: Rows, centres: np.ndarray, log_variances: np.ndarray
) -> np.ndarray:
  """Of the rows that count, without the factor of 2 pi, ``[count]`` float64.

  Args:
    x: Rows ``[n, d]`` float32, of about zero mean.
    centres: ``[m, d]``, of components of equal weight.
    log_variances: ``[m]``.
  """
  padded = _pad_centres(centres)
  columns = len(padded)
  context = (
    padded,
    _pad(log_variances, columns, 0.0),
    _pad(_equal_weights(len(centres)), columns, -np.inf),
  )
  values = _log_likelihoods(x, context)
  return -host_rows(values, x.mask).astype(np.float64)


def padded_rows(count: int) -> int:
  """To how many rows of a device so many are padded, which costs no time.

  Whole thousands: few sizes, and little more memory for their distances.
  """
  return -(-count // 1000) * 1000


def padded_centres(count: int) -> int:
  """To how many centres so many are padded: each takes its time in a sweep."""
  for size in (125, 250, 500):
    if count <= size:
      return size
  return padded_rows(count)


def _pad_centres(centres: np.ndarray) -> np.ndarray:
  count, width = centres.shape
  padded = np.zeros((padded_centres(count) + 1, width), np.float32)
  padded[:count] = centres
  return padded


def _pad(values: np.ndarray, columns: int, fill: float) -> np.ndarray:
  padded = np.full(columns, fill, np.float32)
  padded[: len(values)] = values
  return padded


def _equal_weights(count: int) -> np.ndarray:
  return np.full(count, -np.log(count))


@program(out=mesh_lib.ROWS)
def _distances(x, context):
  centres, scale = context
  norms = jnp.sum(centres**2, axis=1)
  return map_tiles(
    x.values,
    lambda tile: scale * _to_centres(tile, centres, norms),
    tile=_EVALUATED,
    end=end_of(x.mask),
  )


@program(out=mesh_lib.ROWS)
def _log_likelihoods(x, context):
  centres, log_variances, log_weights = context
  slope, intercept = _components(log_variances, log_weights, x.values.shape[1])
  norms = jnp.sum(centres**2, axis=1)
  return map_tiles(
    x.values,
    lambda tile: jax.nn.logsumexp(
      slope * _to_centres(tile, centres, norms) + intercept, axis=1
    ),
    tile=_EVALUATED,
    end=end_of(x.mask),
  )


def _to_centres(x, centres, norms):
  """Squared distances of ``x [a, d]`` to all centres, ``[a, m]``."""
  norms = jnp.sum(x**2, axis=1, keepdims=True) + norms
  products = jnp.matmul(x, centres.T, precision=lax.Precision.HIGHEST)
  squared = norms - 2 * products
  slack = rounding(x.shape[1]) * jnp.finfo(x.dtype).eps * norms
  return jnp.where(squared <= slack, 0.0, squared)


def _components(log_variances, log_weights, width):
  """Log density of a component is ``slope * distance + intercept``."""
  slope = -0.5 * jnp.exp(-log_variances)
  return slope, log_weights - width / 2 * log_variances


@program(out=mesh_lib.REPLICATED)
def _fit(rows, context):
  import optax

  log_weights, fit, width = context
  adam = optax.scale_by_adam()
  count = lax.psum(rows[1].sum(), DATA_AXIS)
  scale = 1 / (count * jnp.where(fit.per_dimension, width, 1.0))
  end = end_of(rows[1])
  start = jnp.log((_least(rows, end) + fit.floor) / width)
  start = jnp.where(fit.from_nearest, start.at[-1].set(0.0), 0.0)

  def one_step(carry):
    step, log_variances, state, losses, _ = carry
    slope, intercept = _components(log_variances, log_weights, width)
    total, share, spread = lax.psum(
      _sweep(rows, end, slope, intercept), DATA_AXIS
    )
    gradient = scale * (slope * spread + width / 2 * share)
    change, state = adam.update(gradient, state)
    rate = fit.rate * jnp.where(step < fit.decay_after, 1.0, 0.1)
    log_variances = jnp.clip(log_variances - rate * change, *fit.clamp)
    losses = jnp.roll(losses, 1).at[0].set(-total / (count * width))
    still = jnp.abs(losses - losses[0]).max()
    done = (step > 5) & (still < fit.tolerance)
    return step + 1, log_variances, state, losses, done

  carry = 0, start, adam.init(start), jnp.full(5, jnp.inf), False
  return lax.while_loop(
    lambda carry: (carry[0] < fit.steps) & ~carry[-1], one_step, carry
  )[1]


def _least(rows, end):
  """Distance from the nearest image to each centre, ``[m]``."""

  # Tile by tile: XLA would mask a second array as large first.
  def one_tile(rows, fresh, least):
    del fresh  # A row seen twice changes no minimum.
    tile, counts = rows
    found = jnp.where(counts[:, None], tile, jnp.inf).min(axis=0)
    return jnp.minimum(least, found)

  nothing = jnp.full(rows[0].shape[1], jnp.inf, rows[0].dtype)
  least = fold_tiles(rows, one_tile, nothing, tile=_SWEPT, end=end)
  return lax.pmin(least, DATA_AXIS)


def _sweep(rows, end, slope, intercept):
  """Log likelihood of all rows, and each component's part in it.

  With r the responsibilities: sums of log likelihood ``[]``, of r ``[m]`` and
  of r times the distance ``[m]``.
  """

  def one_tile(rows, fresh, sums):
    tile, counts = rows
    exponents = slope * tile + intercept
    top = exponents.max(axis=1)
    parts = jnp.exp(exponents - top[:, None])
    whole = parts.sum(axis=1)
    valid = counts & fresh
    weight = jnp.where(valid, 1 / whole, 0.0)
    total, share, spread = sums
    return (
      total + jnp.sum(jnp.where(valid, top + jnp.log(whole), 0.0)),
      share + _summed(weight, parts),
      spread + _summed(weight, parts * tile),
    )

  nothing = jnp.zeros((), jnp.float32), *(jnp.zeros_like(slope),) * 2
  return fold_tiles(rows, one_tile, nothing, tile=_SWEPT, end=end)
