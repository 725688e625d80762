"""Sets of features, with what is computed of one set alone.

A set that is compared with many others is fitted, or searched for neighbours,
once.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import copy
from typing import TypeVar

import jax
from jax.sharding import Mesh
import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.moments import row_statistics, RowStatistics
from genmed_jax.engine.rows import (
  gather,
  host_rows,
  Rows,
  shard_rows,
  take_rows,
)

T = TypeVar('T')

# Outputs of a network that metrics read in place of the feature vector.
OUTPUTS = ('logits', 'spatial', 'predicted_dice')
PIXELS = 'pixels'  # An output that hashes the image itself.

_SAMPLE = 127  # Images behind the origin of products.


class FeatureSet:
  """Rows of features that lie on the devices.

  Attributes:
    rows: ``[n, d]`` over the mesh.
  """

  resolution = 0.0  # Distance within which features count as equal.

  def __init__(self, rows: Rows):
    """Wraps rows; nothing is computed yet."""
    self._rows = rows
    self._kept = {}

  @property
  def rows(self) -> Rows:
    """Features over the mesh, ``[n, d]``."""
    return self._rows

  @property
  def mesh(self) -> Mesh:
    """The devices."""
    return mesh_lib.mesh_of(self.rows.values)

  @property
  def count(self) -> int:
    """Number of images, on all processes."""
    return self.statistics.count

  @property
  def is_finite(self) -> bool:
    """Whether every feature is finite."""
    return self.statistics.is_finite

  @property
  def statistics(self) -> RowStatistics:
    """Count, mean and total variance of the images."""
    return self.get(_statistics)

  @property
  def spread(self) -> float:
    """Root of the total variance; 0 where it is rounding."""
    statistics = self.statistics
    spread = statistics.total_variance**0.5
    rounding = 4 * np.finfo(np.float64).eps * np.linalg.norm(statistics.mean)
    return spread if spread > rounding else 0.0

  @property
  def origin(self) -> np.ndarray:
    """A place ``[d]`` float64 amid the images, for products about it.

    The median of a sample, in every feature: outliers, which would take a mean
    with them and with it all digits of the others, do not move it. It is
    rounded as the rows are: rows about it are exact where they are close to it.
    """
    return self.get(_median_of_sample)

  @property
  def shape(self) -> tuple[int, ...]:
    """Shape of the features, padding included."""
    return self.rows.values.shape

  @property
  def width(self) -> int:
    """Number of features."""
    return self.shape[1]

  def get(self, function: Callable[..., T], **options) -> T:
    """``function(self, **options)``, computed once and kept.

    Args:
      function: Of a feature set, to something that is not as large as it.
      **options: Hashable; each choice of them is kept apart.
    """
    key = function, tuple(sorted(options.items()))
    if key not in self._kept:
      self._kept[key] = function(self, **options)
    return self._kept[key]

  @contextlib.contextmanager
  def in_use(self) -> Iterator[None]:
    """Keeps the rows on the devices while the block runs."""
    yield

  def pick(self, chosen: np.ndarray) -> 'FeatureSet':
    """The images at these places among all, in ascending order."""
    positions = np.flatnonzero(to_host(self.rows.mask))[np.sort(chosen)]
    return FeatureSet(take_rows(self.rows, positions))

  def draw(self, random: np.random.Generator, *sizes: int) -> list:
    """Disjoint random parts of these sizes."""
    order = random.permutation(self.count)
    ends = np.cumsum(sizes)
    return [
      self.pick(order[end - size : end])
      for size, end in zip(sizes, ends, strict=True)
    ]

  def to_host(self) -> np.ndarray:
    """Features of all processes, ``[n, d]``, on every process."""
    return host_rows(*self.rows)


class LocalFeatures(FeatureSet):
  """Features of which every process holds a share on its host.

  They are laid over the mesh when they are first used: those of a whole set
  for good, those of a part for as long as a kernel uses them, so that many
  parts may be drawn.
  """

  def __init__(
    self,
    mesh: Mesh,
    values: np.ndarray,
    outputs: Mapping[str, np.ndarray] | None = None,
    *,
    resolution: float = 0.0,
  ):
    """Points at this process's share; nothing is computed yet.

    Args:
      mesh: The devices.
      values: The share ``[n, d]``.
      outputs: Named outputs of the network for the same images, ``[n, ...]``.
      resolution: Distance within which features count as equal.
    """
    self._mesh = mesh
    self._values = values
    self._outputs = outputs or {}
    self._resolution = resolution
    self._items = np.arange(len(values))
    self._whole = None
    self._laid = None
    self._users = 0
    self._kept = {}

  @property
  def rows(self) -> Rows:
    """Features over the mesh, ``[n, d]``."""
    if self._laid is not None:
      return self._laid
    with jax.enable_x64(True):  # Or float64 features would be cut.
      rows = shard_rows(self._mesh, self._share())
    if self._users or self._is_whole:
      self._laid = rows
    return rows

  @contextlib.contextmanager
  def in_use(self) -> Iterator[None]:
    """Keeps the rows on the devices while the block runs."""
    self._users += 1
    try:
      yield
    finally:
      self._users -= 1
      if not (self._users or self._is_whole):
        self._laid = None

  @property
  def count(self) -> int:
    """Number of images, on all processes."""
    return self.get(_count_of_shares)

  @property
  def is_finite(self) -> bool:
    """Whether every feature is finite."""
    if not self._is_whole:
      return self._whole.is_finite or self.get(_are_shares_finite)
    return self.get(_are_shares_finite)

  @property
  def resolution(self) -> float:
    """Distance within which features count as equal."""
    return self.get(_resolution_of_shares)

  @property
  def origin(self) -> np.ndarray:
    """A place amid the images; of a part, that of the whole set."""
    return super().origin if self._is_whole else self._whole.origin

  @property
  def spread(self) -> float:
    """Root of the total variance; of a part, that of the whole set."""
    return super().spread if self._is_whole else self._whole.spread

  @property
  def mesh(self) -> Mesh:
    """The devices."""
    return self._mesh

  @property
  def shape(self) -> tuple[int, ...]:
    """Shape of the share."""
    return (len(self._items), *self._values.shape[1:])

  @property
  def outputs(self) -> frozenset[str]:
    """Names of the outputs that are there."""
    return frozenset(self._outputs)

  def output(self, name: str) -> FeatureSet:
    """Another output of the network, of the same images."""
    whole = LocalFeatures(self._mesh, self._outputs[name])
    return whole if self._is_whole else whole.part(self._items)

  def part(self, items: np.ndarray) -> 'LocalFeatures':
    """The images at these places of the share, ascending."""
    part = copy.copy(self)
    part._items = self._items[items]
    part._whole = self if self._is_whole else self._whole
    part._laid, part._users, part._kept = None, 0, {}
    return part

  def pick(self, chosen: np.ndarray) -> FeatureSet:
    """The images at these places among those of all processes."""
    start, _ = mesh_lib.global_rows(len(self._items))
    places = np.arange(start, start + len(self._items))
    return self.part(np.flatnonzero(np.isin(places, chosen)))

  def to_host(self) -> np.ndarray:
    """Features of all processes, ``[n, d]``, on every process."""
    return gather(self._mesh, self._share())

  @property
  def _is_whole(self) -> bool:
    return self._whole is None

  def _share(self) -> np.ndarray:
    """The share's rows in single precision or better; a copy if need be."""
    mine = self._values if self._is_whole else self._values[self._items]
    return mine.astype(np.promote_types(mine.dtype, np.float32), copy=False)


def _count_of_shares(x: LocalFeatures) -> int:
  return mesh_lib.global_rows(len(x._items))[1]


def _resolution_of_shares(x: LocalFeatures) -> float:
  return float(mesh_lib.from_all(np.array(x._resolution)).max())


def _are_shares_finite(x: LocalFeatures) -> bool:
  share = x._share()
  finite = all(
    np.isfinite(share[start : start + 4096]).all()
    for start in range(0, len(share), 4096)
  )
  return bool(mesh_lib.from_all(np.array(finite)).all())


def _median_of_sample(x: FeatureSet) -> np.ndarray:
  # An odd number of images, whose median is a feature of one of them.
  size = min(_SAMPLE, (x.count - 1) // 2 * 2 + 1)
  random = np.random.default_rng(0)
  sample = x.pick(random.choice(x.count, size, replace=False)).to_host()
  return np.median(sample, axis=0).astype(np.float64)


def _statistics(x: FeatureSet) -> RowStatistics:
  with jax.enable_x64(True):
    return row_statistics(x.rows)
