"""Seeded splits of sets into disjoint parts, behind errors and floors."""

from collections.abc import Iterable

import numpy as np

from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.errors import Undefined
from genmed_jax.metrics.base import Comparison, Metric

SPLITS = 10
# Of metrics that take long, in parts of more images than so many.
_FEW, _MANY_IMAGES = 4, 100
_LARGEST_PART = 5000  # Images in a part, which is a half where it is smaller.
_SMALLEST_PART = 30

# Comparisons of the two parts of every split.
Pairs = list[tuple[Comparison, Comparison]]


def number_of_splits(metric: Metric, size: int) -> int:
  """Number of splits that a metric is taken of, for parts of ``size``."""
  few = metric.takes_long and size > _MANY_IMAGES
  return min(_FEW, SPLITS) if few else SPLITS


def share_of_part(c: Comparison) -> float:
  """Share of each set's images that a part of :func:`parts` has."""
  most, fewest = max(c.counts), min(c.counts)
  return min(0.5, max(_LARGEST_PART / most, _SMALLEST_PART / fewest))


def parts(c: Comparison) -> Pairs:
  """Comparisons of disjoint parts of both sets, for errors.

  Training images are parts of the reference if it stands for them. Those that
  were given stay whole, and so do held-out ones: a copy of one left out would
  pass for authentic.
  """
  share = c.get(share_of_part)
  return _compared(c, *(int(share * count) for count in c.counts))


def floor_size(c: Comparison) -> int:
  """Images on either side of a floor: as many as fit twice in either set."""
  return min(min(c.counts) // 2, _LARGEST_PART)


def level(c: Comparison) -> Pairs:
  """The generated set beside its floor: as large, against the same parts."""
  size = c.get(floor_size)
  if {int(c.get(share_of_part) * count) for count in c.counts} == {size}:
    return c.get(parts)
  return _compared(c, size, size)


def floors(c: Comparison) -> Pairs:
  """Disjoint parts of the reference, each as if the other were generated.

  They serve every generated set of so many images.
  """
  train = c.train if c.train_given else None
  return c.reference.get(
    _floors,
    size=c.get(floor_size),
    seed=c.seed,
    train=train,
    test=c.test,
  )


def _floors(reference: LocalFeatures, *, size, seed, train, test) -> Pairs:
  if size < 2:
    raise Undefined('needs 4 images on either side for floors')
  return _siblings(
    [
      Comparison(*order, train, test, bootstrap=0, seed=seed)
      for order in (pair, pair[::-1])
    ]
    for pair in reference.get(_split, size=size, seed=(seed, 1))
  )


def _compared(c: Comparison, real: int, made: int) -> Pairs:
  train = c.train if c.train_given else None
  sides = (
    side.get(_split, size=size, seed=(c.seed, which))
    for which, (side, size) in enumerate(
      ((c.reference, real), (c.generated, made)), 1
    )
  )
  return _siblings(
    [
      Comparison(*each, train, c.test, bootstrap=0, seed=c.seed)
      for each in zip(*pairs, strict=True)
    ]
    for pairs in zip(*sides, strict=True)
  )


def _siblings(pairs: Iterable[list[Comparison]]) -> Pairs:
  pairs = [tuple(pair) for pair in pairs]
  siblings = [each for pair in pairs for each in pair]
  for each in siblings:
    each.siblings = siblings
  return pairs


def _split(
  x: LocalFeatures, *, size: int, seed: tuple[int, int]
) -> list[list[LocalFeatures]]:
  """Pairs of disjoint random parts of this size."""
  random = np.random.default_rng(seed)
  return [x.draw(random, size, size) for _ in range(SPLITS)]
