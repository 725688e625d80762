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
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.rows import host_rows, Rows
from genmed_jax.engine.tiles import fold_tiles, map_tiles

_SWEPT = 64  # Rows of distances taken at once: what a core's cache holds.
_EVALUATED = 1024  # Rows whose distances are computed at once.


class Fit(NamedTuple):
  """Options of the fit of variances.

  Attributes:
    steps: Of Adam, at most.
    rate: Its learning rate.
    decay_after: Steps after which the rate is a tenth.
    clamp: Bounds of a log variance.
    per_dimension: Whether the loss is divided by the features' width, which
      Adam's epsilon sees.
    tolerance: After six steps the fit ends where the loss per dimension has
      stayed this close for five; never if 0.
  """

  steps: int
  rate: float
  decay_after: int
  clamp: tuple[float, float]
  per_dimension: bool
  tolerance: float


def squared_distances_to(
  x: Rows, centres: np.ndarray, scale: np.ndarray | float = 1.0
) -> jax.Array:
  """Squared distances ``[n, m]`` float32, laid out as ``x``.

  What float32 products cannot tell from zero is zero: a mixture fitted to its
  own centres must see them.

  Args:
    x: Rows ``[n, d]`` float32, of about zero mean.
    centres: ``[m, d]``, float32.
    scale: ``[m]``, what the distances to each are multiplied by.
  """
  mesh = mesh_lib.mesh_of(x.values)
  scale = np.broadcast_to(np.float32(scale), len(centres))
  return _distances(x.values, jnp.asarray(centres), scale, mesh=mesh)


def least_distances(distances: jax.Array, mask: jax.Array) -> np.ndarray:
  """Of the rows that count, to each centre, ``[m]``."""
  mesh = mesh_lib.mesh_of(distances)
  return to_host(_least(distances, mask, mesh=mesh))


def fit_log_variances(
  distances: jax.Array,
  mask: jax.Array,
  width: int,
  start: np.ndarray,
  log_weights: np.ndarray,
  fit: Fit,
) -> np.ndarray:
  """Log variances that make the images likely.

  Args:
    distances: Squared, of images to centres, ``[n, m]``.
    mask: ``[n]``.
    width: Of the features.
    start: Log variances to start from, ``[m]``.
    log_weights: Of the components, ``[m]``.
    fit: How.
  """
  mesh = mesh_lib.mesh_of(distances)
  start, log_weights = (np.float32(v) for v in (start, log_weights))
  fitted = _fit(
    distances, mask, start, log_weights, width=width, fit=fit, mesh=mesh
  )
  return to_host(fitted)


def negative_log_likelihoods(
  x: Rows,
  centres: np.ndarray,
  log_variances: np.ndarray,
  log_weights: np.ndarray,
) -> np.ndarray:
  """Of the rows that count, without the factor of 2 pi, ``[count]`` float64."""
  mesh = mesh_lib.mesh_of(x.values)
  values = _log_likelihoods(
    x.values,
    *(jnp.float32(v) for v in (centres, log_variances, log_weights)),
    mesh=mesh,
  )
  return -host_rows(values, x.mask).astype(np.float64)


@mesh_lib.product_jit(static_argnames=())
def _distances(x, centres, scale, *, mesh):
  def per_device(x, centres, scale):
    norms = jnp.sum(centres**2, axis=1)
    return map_tiles(
      x,
      lambda tile: scale * _to_centres(tile, centres, norms),
      tile=_EVALUATED,
    )

  return _over(mesh, per_device, 2)(x, centres, scale)


@functools.partial(jax.jit, static_argnames=('mesh',))
def _least(distances, mask, *, mesh):
  def per_device(distances, mask):
    # Tile by tile: XLA would mask a second array as large first.
    def one_tile(rows, fresh, least):
      del fresh  # A row seen twice changes no minimum.
      tile, counts = rows
      found = jnp.where(counts[:, None], tile, jnp.inf).min(axis=0)
      return jnp.minimum(least, found)

    nothing = jnp.full(distances.shape[1], jnp.inf, distances.dtype)
    return lax.pmin(
      fold_tiles((distances, mask), one_tile, nothing, tile=_SWEPT),
      mesh_lib.DATA_AXIS,
    )

  return jax.shard_map(
    per_device,
    mesh=mesh,
    in_specs=(mesh_lib.ROWS,) * 2,
    out_specs=mesh_lib.REPLICATED,
    check_vma=False,
  )(distances, mask)


@mesh_lib.product_jit(static_argnames=())
def _log_likelihoods(x, centres, log_variances, log_weights, *, mesh):
  def per_device(x, centres, log_variances, log_weights):
    slope, intercept = _components(log_variances, log_weights, x.shape[1])
    norms = jnp.sum(centres**2, axis=1)
    return map_tiles(
      x,
      lambda tile: jax.nn.logsumexp(
        slope * _to_centres(tile, centres, norms) + intercept, axis=1
      ),
      tile=_EVALUATED,
    )

  return _over(mesh, per_device, 3)(x, centres, log_variances, log_weights)


def _over(mesh, per_device, replicated):
  """Runs on the rows of every device, beside so many replicated arrays."""
  return jax.shard_map(
    per_device,
    mesh=mesh,
    in_specs=(mesh_lib.ROWS,) + (mesh_lib.REPLICATED,) * replicated,
    out_specs=mesh_lib.ROWS,
    check_vma=False,
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


@mesh_lib.product_jit(static_argnames=('width', 'fit'))
def _fit(distances, mask, start, log_weights, *, width, fit, mesh):
  import optax

  rate = optax.piecewise_constant_schedule(fit.rate, {fit.decay_after: 0.1})
  adam = optax.adam(rate)

  def per_device(distances, mask, start, log_weights):
    count = lax.psum(mask.sum(), mesh_lib.DATA_AXIS)
    scale = 1 / (count * width) if fit.per_dimension else 1 / count

    def one_step(carry):
      step, log_variances, state, losses, _ = carry
      slope, intercept = _components(log_variances, log_weights, width)
      total, share, spread = lax.psum(
        _sweep(distances, mask, slope, intercept), mesh_lib.DATA_AXIS
      )
      gradient = scale * (slope * spread + width / 2 * share)
      change, state = adam.update(gradient, state)
      log_variances = jnp.clip(log_variances + change, *fit.clamp)
      losses = jnp.roll(losses, 1).at[0].set(-total / (count * width))
      still = jnp.abs(losses - losses[0]).max()
      done = (step > 5) & (still < fit.tolerance)
      return step + 1, log_variances, state, losses, done

    carry = 0, start, adam.init(start), jnp.full(5, jnp.inf), False
    return lax.while_loop(
      lambda carry: (carry[0] < fit.steps) & ~carry[-1], one_step, carry
    )[1]

  return jax.shard_map(
    per_device,
    mesh=mesh,
    in_specs=(mesh_lib.ROWS,) * 2 + (mesh_lib.REPLICATED,) * 2,
    out_specs=mesh_lib.REPLICATED,
    check_vma=False,
  )(distances, mask, start, log_weights)


def _sweep(distances, mask, slope, intercept):
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
      share + weight @ parts,
      spread + weight @ (parts * tile),
    )

  nothing = jnp.zeros((), jnp.float32), *(jnp.zeros_like(slope),) * 2
  return fold_tiles((distances, mask), one_tile, nothing, tile=_SWEPT)
