"""Density and coverage of manifolds, robust to outliers and calibrated."""

import numpy as np
from scipy.special import betaln, gammaln

from genmed_jax.metrics import neighbours
from genmed_jax.metrics.base import Aspect, Comparison, Measured, Metric
from genmed_jax.metrics.neighbours import Neighbourhoods
from genmed_jax.statistics.direction import Direction


def clipped_density(found: Neighbourhoods) -> np.ndarray:
  r"""Clipped Density, image by image; its mean, at most 1, is the metric.

  .. math::
    \frac{\min(\tfrac1k \sum_i [y_j \in \bar B_i], 1)}
      {\tfrac1n \sum_l \min(\tfrac1k \sum_i [x_l \in \bar B_i], 1)}

  The closed balls :math:`\bar B_i` reach from real images to their k-th
  neighbour but no further than the median such radius, and a generated image
  counts for k balls at most, so neither outliers nor one crowded place carry
  the score; the denominator is what real images score, each in the balls
  of its k neighbours.

  Args:
    found: ``neighbourhoods(x, y, k=k)``; the paper's k is 5.

  Returns:
    ``[m]``; higher is better. The metric is the mean clipped at 1: the share
    of images that are as good as real ones.

  References:
    Salvy et al., 2026, section 4.1.
  """
  k = found.k
  squared, index = found.real.squared[:, :k], found.real.index[:, :k]
  radius = np.minimum(squared[:, -1], np.median(squared[:, -1]))
  radius = neighbours.moved(radius, found.resolution)
  inside = squared <= radius[:, None]
  held = np.bincount(index[inside], minlength=len(squared))
  own = np.minimum(held / k, 1.0).mean()
  return np.minimum(found.held_by_clipped / k, 1.0) / own


def clipped_coverage(found: Neighbourhoods) -> np.ndarray:
  r"""Coverage clipped at k, real image by image; calibrated on average.

  .. math:: c_i = \min(\tfrac1k \sum_j [y_j \in B_i], 1)

  Args:
    found: ``neighbourhoods(x, y, k=k)``; the paper's k is 5.

  Returns:
    ``[n]``. The metric is :func:`calibrated_coverage` of the mean.

  References:
    Salvy et al., 2026, section 4.2.
  """
  return np.minimum(found.holding / found.k, 1.0)


def calibrated_coverage(covered, n: int, m: int, k: int):
  r"""The share of good generated images that would cover so much.

  With M of m images drawn like real ones, and the rest nowhere near, a ball
  around one of n real images holds a beta-binomial number of them, J, and

  .. math:: f(M) = \tfrac1k E \min(J, k)
      = 1 - \tfrac1k \sum_{j<k} (k - j) P(J = j), \quad
      J \sim \mathrm{BetaBin}(M, k, n - k).

  Args:
    covered: Mean of :func:`clipped_coverage`, or several.
    n: Real images.
    m: Generated images.
    k: Which neighbour sets the radii.

  Returns:
    The inverse of f, as a share of m; higher is better. Beyond 1, where more is
    covered than by m good images on average, it is continued in a line.
  """
  good = np.arange(k, m + 1)[:, None]
  j = np.arange(k)
  log_choose = gammaln(good + 1) - gammaln(j + 1) - gammaln(good - j + 1)
  log_p = log_choose + betaln(j + k, good - j + n - k) - betaln(k, n - k)
  expected = 1 - np.exp(log_p) @ (k - j) / k
  curve = np.concatenate([np.zeros(k), expected])
  beyond = np.maximum(covered - curve[-1], 0.0) / (curve[-1] - curve[-2])
  return (np.searchsorted(curve, covered) + beyond) / len(curve)


def _clipped_density(c: Comparison) -> Measured:
  value = float(clipped_density(c.get(neighbours.of_comparison)).mean())
  if value > 1:
    return Measured(value, None, (f'{value:.4g} before it is clipped at 1',))
  return Measured(value)


def _clipped_coverage(c: Comparison) -> Measured:
  found = c.get(neighbours.of_comparison)
  covered = clipped_coverage(found).mean()
  return Measured(float(calibrated_coverage(covered, *c.counts, found.k)))


METRICS = (
  Metric(
    name='clipped_density',
    aspect=Aspect.FIDELITY,
    direction=Direction.HIGHER,
    measure=_clipped_density,
    split_worth=0.8,
    within=(0.0, 1.0),
    share_of='generated',
  ),
  Metric(
    name='clipped_coverage',
    aspect=Aspect.COVERAGE,
    direction=Direction.HIGHER,
    measure=_clipped_coverage,
    split_worth=0.6,
    within=(0.0, 1.0),
    share_of='generated',
  ),
)
