"""Features of which every process holds a share on its host."""

from collections.abc import Iterator, Mapping
import contextlib
import copy

import jax
from jax.sharding import Mesh
import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.rows import gather, Rows, shard_rows


class LocalFeatures(FeatureSet):
  """A set whose rows lie on the hosts of all processes, a share on each.

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
    subjects: np.ndarray | None = None,
  ):
    """Points at this process's share; nothing is computed yet.

    Args:
      mesh: The devices.
      values: The share ``[n, d]``.
      outputs: Named outputs of the network for the same images, ``[n, ...]``.
      resolution: Distance within which features count as equal.
      subjects: The share's ``[n]`` numbers of subjects, whose images parts are
        drawn with all together; each image is its own if None.
    """
    self._mesh = mesh
    self._subjects = subjects
    self._values = values
    self._outputs = outputs or {}
    self._resolution = resolution
    self._items = np.arange(len(values))
    self._whole = None
    self._drawn = None
    self._laid = None
    self._users = 0
    self._kept = {}

  @property
  def rows(self) -> Rows:
    """Features over the mesh, ``[n, d]``."""
    if self._laid is not None:
      return self._laid
    with jax.enable_x64(True):  # Or float64 features would be cut.
      rows = shard_rows(self._mesh, self.share())
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
    part._drawn = None
    part._laid, part._users, part._kept = None, 0, {}
    return part

  def pick(self, chosen: np.ndarray) -> FeatureSet:
    """The images at these places among those of all processes."""
    start, _ = mesh_lib.global_rows(len(self._items))
    places = np.arange(start, start + len(self._items))
    part = self.part(np.flatnonzero(np.isin(places, chosen)))
    part._drawn = self, np.sort(chosen)
    return part

  def draw(self, random: np.random.Generator, *sizes: int) -> list:
    """Disjoint random parts of these sizes, with no subject in two.

    Where subjects have several images, a part that is left with too few has
    less.
    """
    if not self.has_subjects:
      return super().draw(random, *sizes)
    _, subject = np.unique(self.get(_subjects_of_shares), return_inverse=True)
    rank = random.permutation(subject.max() + 1)[subject]
    order = np.argsort(rank, kind='stable')
    ends = np.cumsum(np.bincount(rank))  # Of each subject, in that order.
    parts, start = [], 0
    for size in sizes:
      end = min(start + size, self.count)
      parts.append(self.pick(order[start:end]))
      start = ends[np.searchsorted(ends, end)]
    return parts

  @property
  def has_subjects(self) -> bool:
    """Whether images are of subjects, that may have several."""
    return self._subjects is not None

  @property
  def independent(self) -> int:
    """Number of subjects, or of images if each is its own."""
    if not self.has_subjects:
      return self.count
    return len(np.unique(self.get(_subjects_of_shares)))

  @property
  def drawn(self) -> tuple['LocalFeatures', np.ndarray] | None:
    """The set that this one was drawn from, and the places of its images."""
    return self._drawn

  def to_host(self) -> np.ndarray:
    """Features of all processes, ``[n, d]``, on every process."""
    return gather(self._mesh, self.share())

  def share(self) -> np.ndarray:
    """This process's rows in single precision or better; a copy if need be."""
    mine = self._values if self._is_whole else self._values[self._items]
    return mine.astype(np.promote_types(mine.dtype, np.float32), copy=False)

  @property
  def _is_whole(self) -> bool:
    return self._whole is None


def _count_of_shares(x: LocalFeatures) -> int:
  return mesh_lib.global_rows(len(x._items))[1]


def _subjects_of_shares(x: LocalFeatures) -> np.ndarray:
  return gather(x._mesh, x._subjects[x._items])


def _resolution_of_shares(x: LocalFeatures) -> float:
  return float(mesh_lib.from_all(np.array(x._resolution)).max())


def _are_shares_finite(x: LocalFeatures) -> bool:
  share = x.share()
  finite = all(
    np.isfinite(share[start : start + 4096]).all()
    for start in range(0, len(share), 4096)
  )
  return bool(mesh_lib.from_all(np.array(finite)).all())
