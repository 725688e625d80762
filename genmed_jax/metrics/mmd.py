"""Maximum mean discrepancies: KID, polynomial and Gaussian kernels."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.distance import squareform

from genmed_jax.mesh import as_rows, host_rows, Rows, take_rows, to_host
from genmed_jax.metrics.folds import check_features
from genmed_jax.metrics.kernels import (
  Columns,
  everyone,
  gaussian_kernel,
  polynomial_kernel,
  union_mmd,
  Weighted,
  weighted_mmd,
)
from genmed_jax.metrics.nearest import common_origin
from genmed_jax.metrics.vendi import unit_rows

SUBSETS = 100
SUBSET_SIZE = 1000
BANDWIDTH_SAMPLE = 1000
CMMD_BANDWIDTH = 10.0
CMMD_SCALE = 1000.0


class MMD(NamedTuple):
  """Squared discrepancy, its ``std_error``, and the spread over subsets."""

  value: float
  std_error: float
  subset_std: float | None = None


class Discrepancies(NamedTuple):
  """Every discrepancy, out of one pass over the pairs.

  ``gaussian`` is None where most real images are copies of one another, which
  leaves no ``bandwidth``.
  """

  kid: MMD
  polynomial: MMD
  gaussian: MMD | None
  bandwidth: float


def polynomial_mmd(x, y, *, mask_x=None, mask_y=None) -> MMD:
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
    mask_x: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    :class:`MMD`; lower is better, unbiased, so slightly negative for equal
    distributions.

  Raises:
    ValueError: if the widths differ or a set has fewer than two images.

  References:
    Gretton et al., 2012, eq. 3; Bińkowski et al., 2018, section 4.
  """
  with jax.enable_x64(True):
    x, y = _checked(x, y, mask_x, mask_y)
    (columns,) = weighted_mmd(
      x, y, [Weighted(polynomial_kernel, *everyone(x, y))]
    )
    return _whole(columns, *_counts(x, y))


def gaussian_mmd(
  x,
  y,
  *,
  bandwidth: float | None = None,
  seed: int = 2020,
  mask_x=None,
  mask_y=None,
) -> MMD:
  r"""Unbiased MMD² of the whole sets with a Gaussian (RBF) kernel.

  :func:`polynomial_mmd` with :math:`k(a, b) = \exp(-|a - b|^2 / 2\sigma^2)`.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    bandwidth: :math:`\sigma`, in feature units; :func:`median_distance` if
      None.
    seed: Of the draw behind the median.
    mask_x: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    :class:`MMD`, at most 2; lower is better, unbiased.

  Raises:
    ValueError: if the widths differ, a set has fewer than two images or the
      bandwidth is not positive.

  References:
    Gretton et al., 2012, eq. 3 and section 8 (the median).
  """
  with jax.enable_x64(True):
    x, y = _checked(x, y, mask_x, mask_y)
    if bandwidth is None:
      bandwidth = median_distance(x, seed=seed)
    if not 0 < bandwidth < np.inf:
      raise ValueError(f'bandwidth must be positive, not {bandwidth}')
    (columns,) = weighted_mmd(
      x, y, [Weighted(gaussian_kernel, *everyone(x, y))], bandwidth=bandwidth
    )
    return _whole(columns, *_counts(x, y))


def cmmd(x, y, *, mask_x=None, mask_y=None) -> MMD:
  r"""CMMD: the Gaussian MMD of CLIP features, as its authors scale it.

  Rows are brought to length one, :math:`\sigma` is 10, the sums take in the
  diagonal (the biased V-statistic) and the result is times 1000.

  Args:
    x: Real CLIP features, ``[n, d]``.
    y: Generated ones, ``[m, d]``.
    mask_x: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    :class:`MMD`; lower is better, biased upwards by up to 1000 (1/n + 1/m).

  Raises:
    ValueError: if the widths differ or a set has fewer than two images.

  References:
    Jayasumana et al., 2024, section 4.
  """
  with jax.enable_x64(True):
    x, y = (
      rows._replace(values=unit_rows(rows.values, jnp))
      for rows in _checked(x, y, mask_x, mask_y)
    )
    (columns,) = weighted_mmd(
      x,
      y,
      [Weighted(gaussian_kernel, *everyone(x, y))],
      bandwidth=CMMD_BANDWIDTH,
      diagonal=0.0,
    )
    found = _whole(columns, *_counts(x, y))
    return MMD(CMMD_SCALE * found.value, CMMD_SCALE * found.std_error)


def kid(
  x,
  y,
  *,
  subsets: int = SUBSETS,
  subset_size: int = SUBSET_SIZE,
  seed: int = 2020,
  mask_x=None,
  mask_y=None,
) -> MMD:
  r"""Kernel Inception Distance: mean polynomial MMD² over random subsets.

  Each subset pair has ``min(subset_size, n, m)`` images of each set, drawn
  without replacement from numpy's ``RandomState(seed)``, real set first: the
  draws torch-fidelity makes with the real set as its first input. While the
  sets are small beside the subsets, all subsets are read out of one pass over
  the kernel, as 0/1 weights that multiply it; beyond that each is gathered.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    subsets: How many pairs of subsets.
    subset_size: Images in each, at most.
    seed: Of the draws.
    mask_x: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    :class:`MMD`; lower is better, unbiased. ``std_error`` is that of the
    mean as an estimate over images (the U-statistic's jackknife, up to half
    too wide between equal distributions and more with subsets of a few dozen)
    plus what drawing finitely many subsets adds. ``subset_std``, which others
    report as the error, is the spread of one subset's value, and is zero when
    a subset is the whole set.

  Raises:
    ValueError: if the widths differ or a set has fewer than two images.

  References:
    Bińkowski et al., 2018, section 4.
  """
  with jax.enable_x64(True):
    x, y = _checked(x, y, mask_x, mask_y)
    drawn = _Subsets.draw(x, y, subsets, subset_size, seed)
    if drawn.are_dense:
      (columns,) = weighted_mmd(
        x, y, [Weighted(polynomial_kernel, *drawn.weights())]
      )
    else:
      columns = drawn.gathered(x, y)
    return _over_subsets(columns, *_counts(x, y))


def discrepancies(
  x, y, *, seed: int = 2020, mask_x=None, mask_y=None
) -> Discrepancies:
  """:func:`kid`, :func:`polynomial_mmd` and :func:`gaussian_mmd` at once.

  One pass over the pairs serves all three, for a third of the time of three.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    seed: Of every draw.
    mask_x: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    :class:`Discrepancies`, and the bandwidth that was used.

  Raises:
    ValueError: if the widths differ or a set has fewer than two images.
  """
  with jax.enable_x64(True):
    x, y = _checked(x, y, mask_x, mask_y)
    counts = _counts(x, y)
    bandwidth = median_distance(x, seed=seed)
    drawn = _Subsets.draw(x, y, SUBSETS, SUBSET_SIZE, seed)
    picked = whole = everyone(x, y)
    if drawn.are_dense:
      picked = map(np.hstack, zip(whole, drawn.weights(), strict=True))
    polynomial, gaussian = weighted_mmd(
      x,
      y,
      [
        Weighted(polynomial_kernel, *picked),
        Weighted(gaussian_kernel, *whole),
      ],
      bandwidth=bandwidth or 1.0,
    )
    if drawn.are_dense:
      subsets = Columns(*(column[1:] for column in polynomial))
    else:
      subsets = drawn.gathered(x, y)
    return Discrepancies(
      _over_subsets(subsets, *counts),
      _whole(polynomial, *counts),
      _whole(gaussian, *counts) if bandwidth else None,
      bandwidth,
    )


def median_distance(x: Rows, *, seed: int) -> float:
  """Median distance between real images, of a sample of them.

  Of one set only, so that every generated set is measured alike; 0 if most
  pairs are copies.
  """
  positions = np.flatnonzero(to_host(x.mask))
  size = min(len(positions), BANDWIDTH_SAMPLE)
  random = np.random.default_rng(seed)
  taken = take_rows(x, random.choice(positions, size, replace=False))
  sample = host_rows(*taken).astype(np.float64)
  sample -= sample.mean(0)
  norms = np.sum(sample**2, axis=1)
  squared = sample @ sample.T  # The largest thing here: no second one.
  squared *= -2
  squared += norms[:, None]
  squared += norms
  median = np.median(squareform(squared, checks=False), overwrite_input=True)
  return float(np.sqrt(median)) if median > 1e-12 * norms.mean() else 0.0


class _Subsets(NamedTuple):
  """Which of the images that count are drawn, ``[subsets, size]``."""

  counts: tuple[int, int]
  chosen: tuple[np.ndarray, np.ndarray]

  @classmethod
  def draw(cls, x: Rows, y: Rows, subsets: int, size: int, seed: int):
    counts = _counts(x, y)
    size = min(size, *counts)
    random = np.random.RandomState(seed)
    draws = [
      [random.choice(count, size, replace=False) for count in counts]
      for _ in range(subsets)
    ]
    return cls(counts, tuple(np.stack(d) for d in zip(*draws, strict=True)))

  @property
  def are_dense(self) -> bool:
    """Whether one pass over all pairs is less work than one a subset."""
    n, m = self.counts
    subsets, size = self.chosen[0].shape
    return n * n / 2 + m * m / 2 + n * m <= 2 * subsets * size * size

  def weights(self) -> list[np.ndarray]:
    """All subsets as 0/1 weights, ``[n, subsets]`` and ``[m, subsets]``."""
    weights = []
    for count, chosen in zip(self.counts, self.chosen, strict=True):
      columns = np.zeros((count, len(chosen)), np.float32)
      columns[chosen, np.arange(len(chosen))[:, None]] = 1.0
      weights.append(columns)
    return weights

  def gathered(self, x: Rows, y: Rows) -> Columns:
    """MMD² of every subset, each by itself."""
    places = [np.flatnonzero(to_host(rows.mask)) for rows in (x, y)]
    origin = common_origin(x)
    each = [
      union_mmd(
        take_rows(x, places[0][i], sizes='one'),
        take_rows(y, places[1][j], sizes='one'),
        origin=origin,
      )
      for i, j in zip(*self.chosen, strict=True)
    ]
    return Columns(*(np.concatenate(c) for c in zip(*each, strict=True)))


def _checked(x, y, mask_x, mask_y) -> tuple[Rows, Rows]:
  x, y = as_rows(x, mask_x), as_rows(y, mask_y)
  check_features(x, y)
  return x, y


def _counts(x: Rows, y: Rows) -> tuple[int, int]:
  return int(x.mask.sum()), int(y.mask.sum())


def _whole(columns: Columns, n: int, m: int) -> MMD:
  variance = columns.variance_x / n + columns.variance_y / m
  return MMD(float(columns.value[0]), float(np.sqrt(variance[0])))


def _over_subsets(columns: Columns, n: int, m: int) -> MMD:
  spread = np.std(columns.value)
  variance = (
    columns.variance_x.mean() / n
    + columns.variance_y.mean() / m
    + spread**2 / len(columns.value)
  )
  return MMD(
    float(columns.value.mean()), float(np.sqrt(variance)), float(spread)
  )
