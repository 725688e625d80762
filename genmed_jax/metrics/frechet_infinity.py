"""Fréchet distance extrapolated to infinitely many generated images."""

import functools

from jax import lax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import on_feature_sets
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.moments import Moments, moments
from genmed_jax.engine.rows import (
  fold_rows,
  host_rows,
  map_rows,
  Rows,
  spread_rows,
  take_rows,
)
from genmed_jax.errors import Undefined
from genmed_jax.metrics.base import Aspect, Comparison, Measured, Metric
from genmed_jax.metrics.frechet import (
  fd_of_comparison,
  fewer_than_features,
  fit_gaussian,
  Gaussian,
  padded_columns,
  root_trace,
)
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import Estimate

SIZES = 15


@on_feature_sets
def frechet_distance_infinity(
  x: FeatureSet, y: FeatureSet, *, sizes: int = SIZES, seed: int = 2020
) -> Estimate:
  r"""Fréchet distance at N to infinity, by a line through random subsets.

  The bias of the distance is nearly linear in 1/N. Subsets of the generated
  set of :math:`N` images, from ``min(5000, max(m // 10, 2))`` to all, are
  drawn without replacement and least squares give the intercept of

  .. math:: d^2(N) \approx d^2_\infty + b / N .

  The real set is factored once, :math:`\Sigma_x = F F^\top`, the generated
  rows are projected once, :math:`z = F^\top (y - \bar y)`, and a subset's
  nuclear norm is the sum of the roots of the eigenvalues of the covariance of
  its z, or of their N x N Gram matrix where that is smaller. The covariance of
  a large subset is that of all less that of the images that were not drawn, so
  none takes more than half a pass.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    sizes: How many subsets.
    seed: Of numpy's ``default_rng``, behind the draws.

  Returns:
    :class:`Estimate`, the ``slope`` in 1/N among its details; lower is better.
    Unbiased in m to first order; the bias of the real set, O(1/n), stays. The
    error is that of the intercept of the line: the noise of the draws, not of
    the generated set.

  Raises:
    ValueError: if the widths differ, a feature is not finite or there are too
      few images for a line (``Undefined``).

  References:
    Chong & Forsyth, 2020, section 4.
  """
  m = y.count
  smallest = min(5000, max(m // 10, 2))
  if m - smallest < sizes:
    raise Undefined(
      f'a line through {sizes} sizes needs more than {m} generated images'
    )
  counts = np.linspace(smallest, m, sizes).astype(np.int32)
  random = np.random.default_rng(seed)
  drawn = np.zeros((m, sizes), bool)
  for column, count in enumerate(counts):
    drawn[random.choice(m, count, replace=False), column] = True
  distances = _distances(y, x.get(fit_gaussian), drawn)
  (slope, value), covariance = np.polyfit(1 / counts, distances, 1, cov=True)
  error = float(np.sqrt(covariance[1, 1]))
  return Estimate(float(value), error, {'slope': float(slope)})


def _distances(
  y: FeatureSet, fit_x: Gaussian, drawn: np.ndarray
) -> list[float]:
  """Fréchet distances to the images that each column draws."""
  sizes, width, centre = drawn.shape[1], y.width, y.statistics.mean
  y = y.rows
  totals, squares = fold_rows(
    y,
    _add,
    (np.zeros((sizes, width)), np.zeros(sizes)),
    info=spread_rows(y, drawn),
    context=centre,
  )
  rank = fit_x.factor.shape[1]
  project = _projector(jnp.promote_types(y.values.dtype, jnp.float32))
  context = centre, padded_columns(fit_x.factor)
  z = Rows(map_rows(y, project, context), y.mask)
  real_trace = fit_x.total_variance
  everyone = on_host = None
  distances = []
  for column, (total, square) in enumerate(zip(totals, squares, strict=True)):
    count = drawn[:, column].sum()
    drift = total / count
    difference = fit_x.mean - centre - drift
    trace = (square - count * drift @ drift) / (count - 1)
    if count < rank:
      if on_host is None:
        on_host = host_rows(*z)[:, :rank]
      rows = on_host[drawn[:, column]].astype(np.float64)
      rows -= drift @ fit_x.factor
      covariance = rows @ rows.T / (count - 1)
    else:
      if everyone is None:
        everyone = moments(z, centre=np.zeros(z.values.shape[1]))
      covariance = _of_subset(z, drawn[:, column], everyone).covariance
      covariance = covariance[:rank, :rank]
    distances.append(
      difference @ difference + real_trace + trace - 2 * root_trace(covariance)
    )
  return distances


def _of_subset(z: Rows, drawn: np.ndarray, everyone: Moments) -> Moments:
  """Moments of the drawn rows, by way of the fewer of them and the rest."""
  if 2 * drawn.sum() < len(drawn):
    return moments(_take(z, drawn), centre=everyone.centre)
  if drawn.all():
    return everyone
  return everyone - moments(_take(z, ~drawn), centre=everyone.centre)


def _take(x: Rows, drawn: np.ndarray) -> Rows:
  """The drawn ones of the rows that count."""
  return take_rows(x, np.flatnonzero(to_host(x.mask))[drawn])


def _add(values, valid, drawn, centre, state):
  """Adds the centred rows and their squared norms to those that draw them."""
  totals, squares = state
  centred = jnp.where(valid[:, None], values - centre, 0.0)
  drawn = drawn.astype(values.dtype)
  return (
    totals + drawn.T @ centred,
    squares + drawn.T @ jnp.sum(centred**2, axis=1),
  )


@functools.cache
def _projector(dtype):
  """Projects rows, and rounds them as features are: there are as many."""

  def project(row, context):
    centre, factor = context
    projected = jnp.matmul(
      row - centre, factor, precision=lax.Precision.HIGHEST
    )
    return projected.astype(dtype)

  return project


def _fd_inf(c: Comparison) -> Measured:
  found = frechet_distance_infinity(c.reference, c.generated, seed=c.seed)
  error = None
  if c.bootstrap:
    error = float(np.hypot(found.std_error, c.get(fd_of_comparison).std_error))
  return Measured(found.value, error, fewer_than_features(c))


METRICS = (
  Metric(
    name='fd_inf',
    aspect=Aspect.FIDELITY,
    direction=Direction.LOWER,
    measure=_fd_inf,
    takes_long=True,
  ),
)
