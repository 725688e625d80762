"""Fidelity and coverage of nearest-neighbour manifolds."""

from typing import NamedTuple

import numpy as np
from scipy.special import betaln, gammaln

from genmed_jax.metrics.neighbours import Neighbourhoods, neighbourhoods


class PRDC(NamedTuple):
  """Per-image scores, whose means are the four metrics.

  Attributes:
    precision: ``[m]``, 1 where a generated image lies in some real ball.
    recall: ``[n]``, 1 where a real image lies in some generated ball.
    density: ``[m]``, real balls holding a generated image, over k.
    coverage: ``[n]``, 1 where a real ball holds some generated image.
  """

  precision: np.ndarray
  recall: np.ndarray
  density: np.ndarray
  coverage: np.ndarray


def prdc(x, y, *, k: int = 5, mask_x=None, mask_y=None) -> PRDC:
  r"""Precision, recall, density and coverage, image by image.

  With :math:`B_k(p)` the open ball around ``p`` that reaches to the k-th
  neighbour of ``p`` in its own set,

  .. math::
    P_j = [\exists i: y_j \in B_k(x_i)] \quad
    R_i = [\exists j: x_i \in B_k(y_j)] \quad
    D_j = \tfrac1k \sum_i [y_j \in B_k(x_i)] \quad
    C_i = [\exists j: y_j \in B_k(x_i)].

  Membership is strict, ``<``, as in the prdc package; a point on the surface
  (an exact copy of the k-th neighbour) is outside.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    k: Neighbours that set the radius.
    mask_x: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    :class:`PRDC`; means are in [0, 1], density's in [0, inf); higher is
    better. All four depend on n and m: compare at equal sizes.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has no
      more than ``k`` images.

  References:
    Kynkäänniemi et al., 2019, eqs. 1-2; Naeem et al., 2020, eqs. 3 and 5.
  """
  return prdc_of(neighbourhoods(x, y, k=k, mask_x=mask_x, mask_y=mask_y))


def realism(x, y, *, k: int = 3, mask_x=None, mask_y=None) -> np.ndarray:
  r"""Realism of each generated image.

  .. math:: R_j = \max_i \frac{r_k(x_i)}{\|y_j - x_i\|}

  over real images whose radius :math:`r_k`, the distance to the k-th
  neighbour, is below the median: large balls, around outliers, say nothing.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    k: Neighbours that set the radius.
    mask_x: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    ``[m]``; higher is more realistic, above 1 inside a ball. Infinite for an
    exact copy: count those apart before taking a mean.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has no
      more than ``k`` images.

  References:
    Kynkäänniemi et al., 2019, eq. 3.
  """
  return neighbourhoods(
    x, y, k=1, realism_k=k, mask_x=mask_x, mask_y=mask_y
  ).realism


def prdc_of(found: Neighbourhoods) -> PRDC:
  """:func:`prdc` of neighbourhoods that are already there."""
  return PRDC(
    precision=(found.held_by_real > 0).astype(np.float64),
    recall=(found.held_by_generated > 0).astype(np.float64),
    density=found.held_by_real / found.k,
    coverage=(found.holding > 0).astype(np.float64),
  )


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
    The inverse of f, as a share of m, in [0, 1]; higher is better.
  """
  good = np.arange(k, m + 1)[:, None]
  j = np.arange(k)
  log_choose = gammaln(good + 1) - gammaln(j + 1) - gammaln(good - j + 1)
  log_p = log_choose + betaln(j + k, good - j + n - k) - betaln(k, n - k)
  expected = 1 - np.exp(log_p) @ (k - j) / k
  curve = np.concatenate([np.zeros(k), expected])
  return np.searchsorted(curve, covered) / len(curve)
