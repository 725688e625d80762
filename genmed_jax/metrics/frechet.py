"""Fréchet distance between Gaussian fits of two feature sets."""

from typing import NamedTuple

from jax import lax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import on_feature_sets
from genmed_jax.engine.moments import Moments, moments
from genmed_jax.engine.rows import host_rows, map_rows, padded_size
from genmed_jax.metrics.base import (
  Alias,
  Aspect,
  Comparison,
  Measured,
  Metric,
)
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import Estimate

# Of a sum of roots of eigenvalues, what their rounding may change of it.
_LOST = 1e-9


class Gaussian(NamedTuple):
  """A Gaussian fit, on the host, float64.

  Attributes:
    count: How many images it was fitted to.
    mean: ``[d]``.
    factor: ``[d, r]``, of the covariance: ``factor @ factor.T``; with fewer
      images than features, r is one less than there are images.
    is_low_rank: Whether there are fewer images than features.
  """

  count: int
  mean: np.ndarray
  factor: np.ndarray
  is_low_rank: bool

  @property
  def total_variance(self) -> float:
    """Trace of the covariance."""
    return np.linalg.norm(self.factor) ** 2


@on_feature_sets
def frechet_distance(
  x: FeatureSet, y: FeatureSet, *, std_error: bool = False
) -> Estimate:
  r"""Fréchet distance between Gaussian fits of two feature sets.

  .. math::
    d^2 = \|\mu_x - \mu_y\|^2 + \mathrm{tr}\,\Sigma_x + \mathrm{tr}\,\Sigma_y
      - 2\,\|F_x^\top F_y\|_*, \qquad \Sigma = F F^\top

  The nuclear norm equals :math:`\mathrm{tr}(\Sigma_x\Sigma_y)^{1/2}` for any
  factors. With fewer images than features the centred rows, less the direction
  that centring empties, are the factor: no root is taken of the zero
  eigenvalues that a ``d x d`` product would have, whose rounding makes
  ``sqrtm`` low by 1e-6 relative. Otherwise the factor is Cholesky's, pivoted
  where the rank is below the width. The singular values are roots of symmetric
  eigenvalues, real and non-negative by construction, or are taken directly
  where such roots would lose digits. Everything is float64.

  The standard error is the infinitesimal jackknife, which moves the weight of
  one image at a time and reads the change off the derivative,

  .. math::
    \frac{\partial d^2}{\partial w_i} = \frac{\|c_i\|^2 - c_i^\top T c_i}{n-1}
      + \frac2n (\mu_x - \mu_y)^\top c_i, \qquad c_i = x_i - \mu_x,

  with T the optimal transport map to the other Gaussian. A bootstrap would
  be biased: resampled sets have fewer distinct images. It is up to half too
  wide between equal distributions, whose slopes vanish, and for n < d.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    std_error: Whether to compute the standard error too; with n, m >= d it
      takes eigenvectors, about three times the eigenvalues' cost.

  Returns:
    :class:`Estimate` in squared feature units; lower is better, 0 for equal
    fits. Biased upwards by O(1/n + 1/m): compare at equal sizes.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.

  References:
    Heusel et al., 2017, eq. 6; Dowson & Landau, 1982; Efron, 1982, ch. 6.
  """
  # Parts are many, and a fit may be as large as they are.
  fit_x, fit_y = (
    each.get(fit_gaussian) if each.drawn is None else fit_gaussian(each)
    for each in (x, y)
  )
  cross = fit_x.factor.T @ fit_y.factor
  difference = fit_x.mean - fit_y.mean
  value = (
    difference @ difference
    + fit_x.total_variance
    + fit_y.total_variance
    - 2 * _nuclear_norm(cross, fit_x.is_low_rank or fit_y.is_low_rank)
  )
  value = max(float(value), 0.0)  # Equal fits differ by rounding.
  if not std_error:
    return Estimate(value)
  variance = sum(
    _jackknife_variance(rows, fit, root, sign * difference)
    for rows, fit, root, sign in zip(
      (x, y),
      (fit_x, fit_y),
      _map_roots(fit_x, fit_y, cross),
      (1, -1),
      strict=True,
    )
  )
  return Estimate(value, float(np.sqrt(variance)))


@on_feature_sets
def fit_gaussian(x: FeatureSet) -> Gaussian:
  """The Gaussian fit of a feature set.

  Args:
    x: Features, ``[n, d]``.

  Raises:
    ValueError: if a feature is not finite or there are fewer than two images.
  """
  if x.count < x.width:
    centred = x.to_host().astype(np.float64)
    mean = centred.mean(axis=0)
    centred -= mean
    # A reflection that takes (1, ..., 1) to the first axis, then empty.
    axis = np.full(x.count, x.count**-0.5)
    axis[0] += 1
    reflected = centred[1:] - np.outer(axis[1:] / axis[0], axis @ centred)
    return Gaussian(x.count, mean, reflected.T / np.sqrt(x.count - 1), True)
  fit = moments(x.rows)
  return Gaussian(x.count, fit.mean, _factor(fit), False)


def _factor(fit: Moments) -> np.ndarray:
  """Cholesky factor of the covariance, ``[d, rank]``."""
  # Its transpose is laid out as LAPACK has it, so no copy is made.
  covariance = fit.covariance.T
  width = len(covariance)
  smallest = width * np.finfo(np.float64).eps * covariance.diagonal().max()
  factor, failed = scipy.linalg.lapack.dpotrf(
    covariance, lower=1, overwrite_a=1
  )
  if not failed and factor.diagonal().min() ** 2 > smallest:
    return factor
  factor, pivots, rank, _ = scipy.linalg.lapack.dpstrf(
    fit.covariance.T, lower=1, overwrite_a=1
  )
  rank = max(rank, 1)  # Constant features keep a column, of zeros.
  unpivoted = np.zeros((rank, width))
  for column in range(rank):
    unpivoted[column, pivots[column:] - 1] = factor[column:, column]
  return unpivoted.T


def _nuclear_norm(cross: np.ndarray, is_low_rank: bool) -> float:
  """Sum of the singular values, by roots of a third of the time of an SVD."""
  narrow = cross if len(cross) <= len(cross.T) else cross.T
  squares = _eigenvalues(narrow @ narrow.T)
  roots = np.sqrt(np.maximum(squares, 0.0))
  if is_low_rank and squares[-1] > 0:
    rounding = np.finfo(np.float64).eps * squares[-1]
    lost = rounding / 2 * np.sum(1 / np.maximum(roots, np.sqrt(rounding)))
    if lost > _LOST * roots.sum():
      return scipy.linalg.svdvals(cross).sum()
  return roots.sum()


def root_trace(semidefinite: np.ndarray) -> float:
  """Trace of the root of a symmetric semidefinite matrix."""
  return np.sqrt(np.maximum(_eigenvalues(semidefinite), 0.0)).sum()


def _eigenvalues(symmetric: np.ndarray) -> np.ndarray:
  """Ascending, by the OpenBLAS that took the product before.

  scipy brings its own: two sets of threads on the same cores take twice as
  long.
  """
  return np.linalg.eigvalsh(symmetric)


def _map_roots(fit_x, fit_y, cross):
  """Roots ``A [d, r]`` of both transport maps, ``T = A A.T``.

  With ``cross = U S V.T``, the map from x is ``F_y V S^-1 V.T F_y.T`` and the
  map from y is ``F_x U S^-1 U.T F_x.T``. Directions without variance in
  either set carry nothing and are dropped.
  """
  squares, u = scipy.linalg.eigh(cross @ cross.T, driver='evd')
  kept = squares > squares[-1] * len(squares) * np.finfo(np.float64).eps
  s, u = np.sqrt(squares[kept]), u[:, kept]
  from_y = fit_x.factor @ (u / np.sqrt(s))
  from_x = fit_y.factor @ (cross.T @ (u / s**1.5))
  # An error needs no more digits than float32 has, in half the time.
  return np.float32(from_x), np.float32(from_y)


def padded_columns(factor: np.ndarray) -> np.ndarray:
  """A factor ``[d, r]`` with columns of zeros: of few shapes, for any rank."""
  width, rank = factor.shape
  padded = np.zeros((width, min(width, padded_size(rank))), factor.dtype)
  padded[:, :rank] = factor
  return padded


def _jackknife_variance(
  x: FeatureSet, fit: Gaussian, root, difference
) -> float:
  if fit.is_low_rank:
    rows = x.to_host() - fit.mean
    slopes = _slopes(
      rows, rows.astype(root.dtype) @ root, difference, fit.count
    )
  else:
    count = np.float64(fit.count)
    context = fit.mean, padded_columns(root), difference, count
    slopes = map_rows(x.rows, _slope, context)
    slopes = host_rows(slopes, x.rows.mask)
  return fit.count * np.var(slopes, ddof=1)


def _slope(row, context):
  mean, root, difference, count = context
  centred = row - mean
  mapped = jnp.matmul(
    centred.astype(root.dtype), root, precision=lax.Precision.HIGHEST
  )
  return _slopes(centred, mapped, difference, count)


def _slopes(centred, mapped, difference, count):
  """Derivative of the distance by the weight of a row, or of several."""
  own = ((centred**2).sum(-1) - (mapped**2).sum(-1)) / (count - 1)
  return own + 2 / count * (centred @ difference)


def fewer_than_features(c: Comparison) -> tuple[str, ...]:
  """A note where covariances have fewer images than features."""
  width = c.reference.width
  if min(c.counts) >= width:
    return ()
  return (f'fewer images than {width} features, so biased upwards',)


def fd_of_comparison(c: Comparison) -> Estimate:
  """The distance, with its error if errors are asked for."""
  return frechet_distance(c.reference, c.generated, std_error=c.bootstrap > 0)


def _fd(c: Comparison) -> Measured:
  return Measured.of(c.get(fd_of_comparison), *fewer_than_features(c))


def _sfid(c: Comparison) -> Measured:
  x, y = (each.output('spatial') for each in (c.reference, c.generated))
  found = frechet_distance(x, y, std_error=c.bootstrap > 0)
  notes = ()
  if min(c.counts) < x.width:
    notes = (f'fewer images than {x.width} spatial features',)
  return Measured.of(found, *notes)


METRICS = (
  Metric(
    name='fd',
    aspect=Aspect.FIDELITY,
    direction=Direction.LOWER,
    measure=_fd,
    within=(0.0, np.inf),
    alias=Alias('fid', 'inception_v3 with its published weights'),
    headline=True,
    takes_long=True,
  ),
  Metric(
    name='sfid',
    aspect=Aspect.FIDELITY,
    direction=Direction.LOWER,
    measure=_sfid,
    within=(0.0, np.inf),
    reads='spatial',
    takes_long=True,
  ),
)
