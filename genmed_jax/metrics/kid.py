"""Kernel Inception Distance: a mean over random subsets."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import on_feature_sets
from genmed_jax.engine.kernel_sums import (
  Columns,
  polynomial_kernel,
  union_mmd,
  Weighted,
  weighted_mmd,
)
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.rows import take_rows
from genmed_jax.statistics.intervals import Estimate

SUBSETS = 100
SUBSET_SIZE = 1000


@on_feature_sets
def kid(
  x: FeatureSet,
  y: FeatureSet,
  *,
  subsets: int = SUBSETS,
  subset_size: int = SUBSET_SIZE,
  seed: int = 2020,
) -> Estimate:
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

  Returns:
    :class:`Estimate`; lower is better, unbiased. ``std_error`` is that of the
    mean as an estimate over images (the U-statistic's jackknife, up to half
    too wide between equal distributions and more with subsets of a few dozen)
    plus what drawing finitely many subsets adds. ``subset_std`` among the
    details, which others report as the error, is the spread of one subset's
    value, and is zero when a subset is the whole set.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.

  References:
    Bińkowski et al., 2018, section 4.
  """
  drawn = Subsets.draw(x, y, subsets, subset_size, seed)
  if drawn.are_dense:
    (columns,) = weighted_mmd(
      x, y, [Weighted(polynomial_kernel, *drawn.weights())]
    )
  else:
    columns = drawn.gathered(x, y)
  return over_subsets(columns, x.count, y.count)


class Subsets(NamedTuple):
  """Choices of images of two sets.

  Attributes:
    sizes: Images in each set.
    chosen: Of each set, places among those that count, subset by subset.
  """

  sizes: tuple[int, int]
  chosen: tuple[Sequence[np.ndarray], Sequence[np.ndarray]]

  @classmethod
  def draw(
    cls, x: FeatureSet, y: FeatureSet, subsets: int, size: int, seed: int
  ):
    """Seeded choices, real images first."""
    sizes = x.count, y.count
    size = min(size, *sizes)
    if {size} == {*sizes}:
      subsets = 1  # As good as more: all are the whole sets.
    random = np.random.RandomState(seed)
    draws = [
      [random.choice(count, size, replace=False) for count in sizes]
      for _ in range(subsets)
    ]
    return cls(sizes, tuple(zip(*draws, strict=True)))

  @property
  def are_whole(self) -> bool:
    """Whether a subset has all images of both sets."""
    return {*self.sizes} == {len(self.chosen[0][0])}

  @property
  def are_dense(self) -> bool:
    """Whether one pass over all pairs is less work than one a subset."""
    n, m = self.sizes
    pairs = sum(len(places) ** 2 for side in self.chosen for places in side)
    return n * n / 2 + m * m / 2 + n * m <= pairs

  def weights(self) -> list[np.ndarray]:
    """All subsets as 0/1 weights, ``[n, subsets]`` and ``[m, subsets]``."""
    weights = []
    for count, chosen in zip(self.sizes, self.chosen, strict=True):
      columns = np.zeros((count, len(chosen)), np.float32)
      for column, places in enumerate(chosen):
        columns[places, column] = 1.0
      weights.append(columns)
    return weights

  def gathered(self, x: FeatureSet, y: FeatureSet) -> Columns:
    """MMD² of every subset, each by itself."""
    origin = x.origin
    x, y = x.rows, y.rows
    places = [np.flatnonzero(to_host(rows.mask)) for rows in (x, y)]
    each = [
      union_mmd(
        take_rows(x, places[0][i]),
        take_rows(y, places[1][j]),
        origin=origin,
      )
      for i, j in zip(*self.chosen, strict=True)
    ]
    return Columns(*(np.concatenate(c) for c in zip(*each, strict=True)))


def over_subsets(columns: Columns, n: int, m: int) -> Estimate:
  """:func:`kid` of the subsets of sets of ``n`` and ``m``."""
  spread = np.std(columns.value)
  variance = (
    columns.variance_x.mean() / n
    + columns.variance_y.mean() / m
    + spread**2 / len(columns.value)
  )
  return Estimate(
    float(columns.value.mean()),
    float(np.sqrt(variance)),
    {'subset_std': float(spread)},
  )
