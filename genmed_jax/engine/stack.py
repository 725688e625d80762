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
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.platforms import platform_of
from genmed_jax.engine.rows import Rows, shard_rows

_ROWS = 4000  # In a stack, at most; a larger set is one alone.


def stacks(*sides: Sequence[FeatureSet]) -> Iterator[tuple['Stack', ...]]:
  """Stacks of sets, in order; those of several sides take the same places.

  Args:
    *sides: As many sets on one as on another.
  """
  taken = []
  for sets in zip(*sides, strict=True):
    together = zip(*taken, sets, strict=True)
    if taken and any(sum(x.count for x in s) > _ROWS for s in together):
      yield tuple(map(Stack, zip(*taken, strict=True)))
      taken = []
    taken.append(sets)
  if taken:
    yield tuple(map(Stack, zip(*taken, strict=True)))


class Stack:
  """Rows of several sets, or of one, over the mesh.

  Attributes:
    sets: Of one width, over one mesh.
  """

  def __init__(self, sets: Sequence[FeatureSet]):
    """Points at the sets; nothing is laid over the mesh yet."""
    self.sets = sets

  @property
  def origin(self) -> np.ndarray:
    """A place ``[d]`` float64 amid the images, for products about it."""
    return self.sets[0].origin

  @functools.cached_property
  def rows(self) -> Rows:
    """Features over the mesh, ``[n, d]``."""
    if len(self.sets) == 1:
      return self.sets[0].rows
    with jax.enable_x64(True):  # Or float64 features would be cut.
      shares = [each.share() for each in self.sets]
      return shard_rows(self.sets[0].mesh, np.concatenate(shares))

  @functools.cached_property
  def number(self) -> np.ndarray | None:
    """The set of every row, ``[n]``, -1 for padding; None for a single set."""
    if len(self.sets) == 1:
      return None
    counts = [each.shape[0] for each in self.sets]
    mine = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    number, mask = map(to_host, shard_rows(self.sets[0].mesh, mine))
    return np.where(mask, number, -1)

  @property
  def options(self) -> dict:
    """Of pair programs: small tiles, of which few hold rows of two sets."""
    if len(self.sets) == 1:
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
