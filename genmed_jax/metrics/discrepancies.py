"""KID, and the discrepancies of two sets out of one pass over the pairs."""

from typing import NamedTuple

import jax
import numpy as np

from genmed_jax.engine.distances import common_origin
from genmed_jax.engine.kernel_sums import (
  Columns,
  everyone,
  gaussian_kernel,
  polynomial_kernel,
  union_mmd,
  Weighted,
  weighted_mmd,
)
from genmed_jax.engine.mesh import as_rows, Rows, take_rows, to_host
from genmed_jax.engine.rows import check_features
from genmed_jax.metrics.mmd import (
  median_distance,
  MMD,
  of_whole_sets,
  set_sizes,
)

SUBSETS = 100
SUBSET_SIZE = 1000


class Discrepancies(NamedTuple):
  """What :func:`all_discrepancies` finds.

  Where most real images are copies of one another ``bandwidth`` is 0 and
  ``gaussian`` None.
  """

  kid: MMD
  polynomial: MMD
  gaussian: MMD | None
  bandwidth: float


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
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.

  References:
    Bińkowski et al., 2018, section 4.
  """
  with jax.enable_x64(True):
    x, y = as_rows(x, mask_x), as_rows(y, mask_y)
    check_features(x, y)
    drawn = _Subsets.draw(x, y, subsets, subset_size, seed)
    if drawn.are_dense:
      (columns,) = weighted_mmd(
        x, y, [Weighted(polynomial_kernel, *drawn.weights())]
      )
    else:
      columns = drawn.gathered(x, y)
    return _over_subsets(columns, *set_sizes(x, y))


def all_discrepancies(
  x, y, *, seed: int = 2020, mask_x=None, mask_y=None
) -> Discrepancies:
  """:func:`kid`, :func:`polynomial_mmd` and :func:`gaussian_mmd` at once.

  One pass over the pairs serves the last two, and KID too while the sets are
  small beside its subsets: a third of the time of three.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    seed: Of every draw.
    mask_x: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    :class:`Discrepancies`, and the bandwidth that was used.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.
  """
  with jax.enable_x64(True):
    x, y = as_rows(x, mask_x), as_rows(y, mask_y)
    check_features(x, y)
    sizes = set_sizes(x, y)
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
      _over_subsets(subsets, *sizes),
      of_whole_sets(polynomial, *sizes),
      of_whole_sets(gaussian, *sizes) if bandwidth else None,
      bandwidth,
    )


class _Subsets(NamedTuple):
  """Which of the images that count are drawn, ``[subsets, size]``."""

  sizes: tuple[int, int]
  chosen: tuple[np.ndarray, np.ndarray]

  @classmethod
  def draw(cls, x: Rows, y: Rows, subsets: int, size: int, seed: int):
    sizes = set_sizes(x, y)
    size = min(size, *sizes)
    random = np.random.RandomState(seed)
    draws = [
      [random.choice(count, size, replace=False) for count in sizes]
      for _ in range(subsets)
    ]
    return cls(sizes, tuple(np.stack(d) for d in zip(*draws, strict=True)))

  @property
  def are_dense(self) -> bool:
    """Whether one pass over all pairs is less work than one a subset."""
    n, m = self.sizes
    subsets, size = self.chosen[0].shape
    return n * n / 2 + m * m / 2 + n * m <= 2 * subsets * size * size

  def weights(self) -> list[np.ndarray]:
    """All subsets as 0/1 weights, ``[n, subsets]`` and ``[m, subsets]``."""
    weights = []
    for count, chosen in zip(self.sizes, self.chosen, strict=True):
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
        take_rows(x, places[0][i], few_sizes=False),
        take_rows(y, places[1][j], few_sizes=False),
        origin=origin,
      )
      for i, j in zip(*self.chosen, strict=True)
    ]
    return Columns(*(np.concatenate(c) for c in zip(*each, strict=True)))


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
