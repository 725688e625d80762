"""Sets side by side, so that one program sees the pairs of each.

A program on a few dozen images takes as long as it takes to call it, and
errors and floors need hundreds of them. In a stack the rows of sets follow one
another and carry the number of their set: a row is shown its own set alone.
"""

from collections.abc import Iterator, Sequence
import functools

import jax
import numpy as np

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.platforms import platform_of
from genmed_jax.engine.rows import Rows, shard_rows

_ROWS = 4000  # In a stack, padding included; a larger set is one alone.
_SMALL = 1000  # Images of a single set that shares the programs of stacks.


def stacks(*sides: Sequence[FeatureSet]) -> Iterator[tuple['Stack', ...]]:
  """Stacks of sets, in order; those of several sides take the same places.

  Args:
    *sides: As many sets on one as on another.
  """
  taken = []
  for sets in zip(*sides, strict=True):
    together = zip(*taken, sets, strict=True)
    if taken and any(sum(x.count for x in s) > _ROWS for s in together):
      yield _stacked(taken)
      taken = []
    taken.append(sets)
  if taken:
    yield _stacked(taken)


def _stacked(taken: list[tuple[FeatureSet, ...]]) -> tuple['Stack', ...]:
  alone = len(taken) == 1 and any(
    not isinstance(x, LocalFeatures) or x.count > _SMALL for x in taken[0]
  )
  return tuple(Stack(sets, alone=alone) for sets in zip(*taken, strict=True))


class Stack:
  """Rows of several sets, or of one, over the mesh.

  A small set is a stack of one, so that it needs no programs of its own.

  Attributes:
    sets: Of one width, over one mesh.
    is_alone: Whether it is one set as it lies.
  """

  def __init__(self, sets: Sequence[FeatureSet], *, alone: bool):
    """Points at the sets; nothing is laid over the mesh yet."""
    self.sets = sets
    self.is_alone = alone

  @property
  def origin(self) -> np.ndarray:
    """A place ``[d]`` float64 amid the images, for products about it."""
    return self.sets[0].origin

  @functools.cached_property
  def rows(self) -> Rows:
    """Features over the mesh, ``[n, d]``."""
    if self.is_alone:
      return self.sets[0].rows
    with jax.enable_x64(True):  # Or float64 features would be cut.
      return self._laid(np.concatenate(self._shares))

  @functools.cached_property
  def number(self) -> np.ndarray | None:
    """The set of every row, ``[n]``, -1 for padding; None for a set alone."""
    if self.is_alone:
      return None
    counts = list(map(len, self._shares))
    mine = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    number, mask = map(to_host, self._laid(mine))
    return np.where(mask, number, -1)

  @functools.cached_property
  def _shares(self) -> list[np.ndarray]:
    """This process's images of each set; others lie on a device of its own."""
    return [
      each.share() if isinstance(each, LocalFeatures) else each.to_host()
      for each in self.sets
    ]

  def _laid(self, mine: np.ndarray) -> Rows:
    """This process's rows over the mesh, in the one size of stacks."""
    mesh = self.sets[0].mesh
    size = -(-_ROWS // mesh.devices.size)
    return shard_rows(mesh, mine, padded=lambda count: max(count, size))

  @property
  def options(self) -> dict:
    """Of pair programs: small tiles, of which few hold rows of two sets."""
    if self.is_alone:
      return {}
    return {'tile': 2 * (platform_of(self.sets[0].mesh).small_tile,)}

  def split(self, values: np.ndarray) -> list[np.ndarray]:
    """Values of every row ``[n, ...]`` to those of each set's images."""
    ends = np.cumsum([each.count for each in self.sets])
    return np.split(values[self._places], ends[:-1])

  def spread(self, values: Sequence[np.ndarray]) -> np.ndarray:
    """Values of each set's images to those of every row, zeros elsewhere."""
    values = np.concatenate(values)
    spread = np.zeros((len(self._number), *values.shape[1:]), values.dtype)
    spread[self._places] = values
    return spread

  @functools.cached_property
  def rank(self) -> np.ndarray:
    """The place of every row among the images of its set, ``[n]``."""
    return self.spread([np.arange(each.count) for each in self.sets])

  @property
  def _number(self) -> np.ndarray:
    if self.number is not None:
      return self.number
    return np.where(to_host(self.rows.mask), 0, -1)

  @functools.cached_property
  def _places(self) -> np.ndarray:
    """Rows that count, set by set."""
    order = np.argsort(self._number, kind='stable')
    return order[np.sum(self._number < 0) :]
