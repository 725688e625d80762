"""A set of features over the mesh, and what is computed of it alone."""

from collections.abc import Callable
import functools
import weakref

import jax
import numpy as np

from genmed_jax.data.features import Features
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.mesh import Rows
from genmed_jax.engine.nearest import Nearest, own_neighbours
from genmed_jax.metrics.frechet import fit_gaussian, Gaussian

NEIGHBOURS = 5


class FeatureSet:
  """One set, to be compared with any number of others.

  Statistics of the set alone are computed when first asked for and kept.
  """

  def __init__(
    self,
    mesh: jax.sharding.Mesh,
    features: Features,
    items: np.ndarray | None = None,
  ):
    """Points at this process's share of the set; nothing is computed yet.

    Args:
      mesh: The devices.
      features: The share, or what it is a part of.
      items: Which rows of ``features`` are the share, ascending; all if None.
    """
    self.mesh = mesh
    self.features = features
    self._items = np.arange(len(features.values)) if items is None else items
    self._rows = lambda: None

  @property
  def rows(self) -> Rows:
    """Features over the mesh, ``[n, d]``; of a part only while in use."""
    rows = self._rows()
    if rows is None:
      rows = self._shard(self.features.values)
      whole = len(self._items) == len(self.features.values)
      self._rows = (lambda: rows) if whole else _while_in_use(rows)
    return rows

  @functools.cached_property
  def count(self) -> int:
    """How many images there are, on all processes."""
    return int(self.rows.mask.sum())

  @functools.cached_property
  def gaussian(self) -> Gaussian:
    """Gaussian fit."""
    return fit_gaussian(self.rows.values, mask=self.rows.mask)

  @functools.cached_property
  def neighbours(self) -> Nearest:
    """The nearest others of each image, ``[n, NEIGHBOURS]``."""
    return own_neighbours(self.rows.values, k=NEIGHBOURS, mask=self.rows.mask)

  def beside(self, tap: str) -> Rows | None:
    """Another output of the network over the mesh, where there is one."""
    values = self.features.beside.get(tap)
    return None if values is None else self._shard(values)

  def pick(self, chosen: np.ndarray) -> 'FeatureSet':
    """The images at these places of the whole set, on all processes."""
    start, _ = mesh_lib.global_rows(len(self._items))
    mine = np.isin(np.arange(start, start + len(self._items)), chosen)
    return FeatureSet(self.mesh, self.features, self._items[mine])

  def draw(self, random: np.random.Generator, *sizes: int):
    """Disjoint random parts of these sizes."""
    order = random.permutation(self.count)
    ends = np.cumsum(sizes)
    return [
      self.pick(order[end - size : end])
      for size, end in zip(sizes, ends, strict=True)
    ]

  def to_host(self) -> np.ndarray:
    """The features of all processes, ``[n, d]``, on every process."""
    return mesh_lib.gather(self.mesh, self._mine(self.features.values))

  def _shard(self, values: np.ndarray) -> Rows:
    with jax.enable_x64(True):  # Or float64 features would be cut.
      return mesh_lib.shard_rows(self.mesh, self._mine(values))

  def _mine(self, values: np.ndarray) -> np.ndarray:
    """The share's rows in single precision or better; a copy if need be."""
    whole = len(self._items) == len(values)
    mine = values if whole else values[self._items]
    return mine.astype(np.promote_types(mine.dtype, np.float32), copy=False)


def _while_in_use(rows: Rows) -> Callable[[], Rows | None]:
  """Gives the rows back as long as somebody else holds on to their values."""
  values, mask = weakref.ref(rows.values), rows.mask

  def found() -> Rows | None:
    there = values()
    return None if there is None else Rows(there, mask)

  return found
