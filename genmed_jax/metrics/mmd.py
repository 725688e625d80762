"""Maximum mean discrepancies of whole sets, and the kernels' bandwidth."""

import numpy as np

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import on_feature_sets
from genmed_jax.engine.kernel_sums import (
  Columns,
  everyone,
  gaussian_kernel,
  polynomial_kernel,
  unit_gaussian_kernel,
  Weighted,
  weighted_mmd,
)
from genmed_jax.statistics.intervals import Estimate

BANDWIDTH_SAMPLE = 1000
CMMD_SCALE = 1000.0


@on_feature_sets
def polynomial_mmd(x: FeatureSet, y: FeatureSet) -> Estimate:
  r"""Unbiased polynomial MMD² of the whole sets, KID without the subsets.

  .. math::
    \frac{\sum_{i \ne j} k(x_i, x_j)}{n(n-1)}
      + \frac{\sum_{i \ne j} k(y_i, y_j)}{m(m-1)}
      - \frac{2 \sum_{ij} k(x_i, y_j)}{nm}, \quad
    k(a, b) = (a \cdot b / d + 1)^3

  What is summed is k less its value at the real mean: a constant drops out of
  the discrepancy, and with it go the digits that it would have cost. Inner
  products about that mean are float32, sums float64. The standard error is
  the jackknife of the U-statistic: the spread of
  :math:`2(\bar k_x(x_i) - \bar k_y(x_i))` over images, both sets.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.

  Returns:
    :class:`Estimate`; lower is better, unbiased, so slightly negative for equal
    distributions.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.

  References:
    Gretton et al., 2012, eq. 3; Bińkowski et al., 2018, section 4.
  """
  (columns,) = weighted_mmd(
    x,
    y,
    [Weighted(polynomial_kernel, *everyone(x.count, y.count))],
  )
  return of_whole_sets(columns, x.count, y.count)


@on_feature_sets
def gaussian_mmd(
  x: FeatureSet,
  y: FeatureSet,
  *,
  bandwidth: float | None = None,
  seed: int = 2020,
) -> Estimate:
  r"""Unbiased MMD² of the whole sets with a Gaussian (RBF) kernel.

  :func:`polynomial_mmd` with :math:`k(a, b) = \exp(-|a - b|^2 / 2\sigma^2)`.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    bandwidth: :math:`\sigma`, in feature units; :func:`median_distance` if
      None.
    seed: Of the draw behind the median.

  Returns:
    :class:`Estimate`, at most 2; lower is better, unbiased.

  Raises:
    ValueError: if the widths differ, a feature is not finite, a set has fewer
      than two images or the bandwidth is not positive.

  References:
    Gretton et al., 2012, eq. 3 and section 8 (the median).
  """
  if bandwidth is None:
    bandwidth = median_distance(x, seed=seed)
  if not 0 < bandwidth < np.inf:
    raise ValueError(f'bandwidth must be positive, not {bandwidth}')
  (columns,) = weighted_mmd(
    x,
    y,
    [Weighted(gaussian_kernel, *everyone(x.count, y.count))],
    bandwidth,
  )
  return of_whole_sets(columns, x.count, y.count)


@on_feature_sets
def cmmd(x: FeatureSet, y: FeatureSet) -> Estimate:
  r"""CMMD: the Gaussian MMD of CLIP features, as its authors scale it.

  Rows are brought to length one, :math:`\sigma` is 10, the sums take in the
  diagonal (the biased V-statistic) and the result is times 1000.

  Args:
    x: Real CLIP features, ``[n, d]``.
    y: Generated ones, ``[m, d]``.

  Returns:
    :class:`Estimate`; lower is better, biased upwards by up to
    1000 (1/n + 1/m).

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.

  References:
    Jayasumana et al., 2024, section 4.
  """
  sizes = x.count, y.count
  kernel = Weighted(unit_gaussian_kernel, *everyone(*sizes), diagonal=0.0)
  (columns,) = weighted_mmd(x, y, [kernel])
  return cmmd_of(columns, *sizes)


def cmmd_of(columns: Columns, n: int, m: int) -> Estimate:
  """:func:`cmmd` of the sums of its kernel."""
  found = of_whole_sets(columns, n, m)
  return Estimate(CMMD_SCALE * found.value, CMMD_SCALE * found.std_error)


def median_distance(x: FeatureSet, *, seed: int) -> float:
  """Median distance between real images, of a sample of them.

  Of one set only, so that every generated set is measured alike; 0 if most
  pairs are copies.
  """
  size = min(x.count, BANDWIDTH_SAMPLE)
  random = np.random.default_rng(seed)
  taken = x.pick(random.choice(x.count, size, replace=False))
  sample = taken.to_host().astype(np.float64)
  sample -= x.origin
  norms = np.sum(sample**2, axis=1)
  squared = sample @ sample.T  # The largest thing here: no second one.
  squared *= -2
  squared += norms[:, None]
  squared += norms
  pairs = squared[np.triu_indices(size, 1)]
  median = np.median(pairs, overwrite_input=True)
  return float(np.sqrt(median)) if median > 1e-12 * np.median(norms) else 0.0


def of_whole_sets(columns: Columns, n: int, m: int) -> Estimate:
  """The first column, which weighs all images of sets of ``n`` and ``m``."""
  variance = columns.variance_x / n + columns.variance_y / m
  return Estimate(float(columns.value[0]), float(np.sqrt(variance[0])))
