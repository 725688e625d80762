"""All discrepancies of two sets, or of their parts, out of one pass."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

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
from genmed_jax.errors import Undefined
from genmed_jax.metrics.base import (
  Aspect,
  Comparison,
  Measured,
  Metric,
  of_each,
)
from genmed_jax.metrics.kid import (
  over_subsets,
  SUBSET_SIZE,
  SUBSETS,
  Subsets,
)
from genmed_jax.metrics.mmd import cmmd_of, median_distance, of_whole_sets
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import Estimate


class Discrepancies(NamedTuple):
  """Results of :func:`all_discrepancies`.

  Where most real images are copies of one another ``bandwidth`` is 0 and
  ``gaussian`` None.
  """

  kid: Estimate
  polynomial: Estimate
  gaussian: Estimate | None
  cmmd: Estimate
  bandwidth: float


@on_feature_sets
def all_discrepancies(
  x: FeatureSet, y: FeatureSet, *, seed: int = 2020
) -> Discrepancies:
  """:func:`kid`, :func:`polynomial_mmd`, :func:`gaussian_mmd` and :func:`cmmd`.

  One pass over the pairs serves the last three, and KID too while the sets are
  small beside its subsets: a third of the time of three.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    seed: Of every draw.

  Returns:
    :class:`Discrepancies`, and the bandwidth that was used.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.
  """
  sizes = x.count, y.count
  bandwidth = median_distance(x, seed=seed)
  drawn = Subsets.draw(x, y, SUBSETS, SUBSET_SIZE, seed)
  picked = whole = everyone(*sizes)
  if drawn.are_dense and not drawn.are_whole:
    picked = map(np.hstack, zip(whole, drawn.weights(), strict=True))
  asked = _kernels(whole)
  asked[0] = Weighted(polynomial_kernel, *picked)
  polynomial, *others = weighted_mmd(x, y, asked, bandwidth or 1.0)
  if drawn.are_whole:
    subsets = polynomial
  elif drawn.are_dense:
    subsets = Columns(*(column[1:] for column in polynomial))
  else:
    subsets = drawn.gathered(x, y)
  return _of_columns(subsets, polynomial, *others, *sizes, bandwidth)


@of_each
def _discrepancies(compared: Sequence[Comparison]) -> list[Discrepancies]:
  drawn = [(c.reference.drawn, c.generated.drawn) for c in compared]
  if len(compared) == 1 or None in drawn[0]:
    return [
      all_discrepancies(c.reference, c.generated, seed=c.seed) for c in compared
    ]
  (x, y), *_ = (tuple(whole for whole, _ in sides) for sides in drawn)
  places = zip(
    *([chosen for _, chosen in sides] for sides in drawn), strict=True
  )
  return _of_parts(x, y, places=places, seed=compared[0].seed)


@on_feature_sets
def _of_parts(
  x: FeatureSet, y: FeatureSet, *, places: Iterable, seed: int
) -> list[Discrepancies]:
  """Discrepancies of pairs of parts, with the bandwidth of the whole ``x``.

  KID takes all images of a part, and not subsets of them, which is the same on
  average. While the parts are much of the sets, they are weights in one pass
  over all pairs; else each is a pass over its own.
  """
  bandwidth = median_distance(x, seed=seed)
  chosen = Subsets((x.count, y.count), tuple(places))
  # Of whole subjects, so not all alike.
  sizes = [tuple(map(len, part)) for part in zip(*chosen.chosen, strict=True)]
  if chosen.are_dense:
    passes = [weighted_mmd(x, y, _kernels(chosen.weights()), bandwidth or 1.0)]
  else:
    passes = (
      weighted_mmd(
        x.pick(i),
        y.pick(j),
        _kernels(everyone(len(i), len(j))),
        bandwidth or 1.0,
      )
      for i, j in zip(*chosen.chosen, strict=True)
    )
  columns = (
    [Columns(*(v[column : column + 1] for v in k)) for k in kernels]
    for kernels in passes
    for column in range(len(kernels[0].value))
  )
  return [
    _of_columns(one[0], *one, *counts, bandwidth)
    for one, counts in zip(columns, sizes, strict=True)
  ]


def _kernels(weights) -> list[Weighted]:
  """All kernels, of the images that 0/1 weights pick."""
  return [
    Weighted(polynomial_kernel, *weights),
    Weighted(gaussian_kernel, *weights),
    Weighted(unit_gaussian_kernel, *weights, diagonal=0.0),
  ]


def _of_columns(
  subsets: Columns,
  polynomial: Columns,
  gaussian: Columns,
  unit: Columns,
  n: int,
  m: int,
  bandwidth: float,
) -> Discrepancies:
  return Discrepancies(
    over_subsets(subsets, n, m),
    of_whole_sets(polynomial, n, m),
    of_whole_sets(gaussian, n, m) if bandwidth else None,
    cmmd_of(unit, n, m),
    bandwidth,
  )


def _kid(c: Comparison) -> Measured:
  found = c.get(_discrepancies).kid
  note = f'std over subsets {found.details["subset_std"]:.3g}'
  if min(c.counts) <= SUBSET_SIZE:
    note = 'subsets are as large as a set'
  return Measured.of(found, note)


def _mmd_poly(c: Comparison) -> Measured:
  return Measured.of(c.get(_discrepancies).polynomial)


def _mmd_rbf(c: Comparison) -> Measured:
  found = c.get(_discrepancies)
  if found.gaussian is None:
    raise Undefined('too many real images are equal for a bandwidth')
  return Measured.of(found.gaussian, f'bandwidth {found.bandwidth:.4g}')


def _mmd_rbf10(c: Comparison) -> Measured:
  return Measured.of(c.get(_discrepancies).cmmd)


METRICS = tuple(
  Metric(
    name=name,
    aspect=Aspect.FIDELITY,
    direction=Direction.LOWER,
    measure=measure,
    within=(0.0 if name == 'mmd_rbf10' else -np.inf, np.inf),
    headline=name == 'kid',
  )
  for name, measure in (
    ('kid', _kid),
    ('mmd_poly', _mmd_poly),
    ('mmd_rbf', _mmd_rbf),
    ('mmd_rbf10', _mmd_rbf10),
  )
)
