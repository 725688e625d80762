"""Sets of features, with what is computed of one set alone.

A set that is compared with many others is fitted, or searched for neighbours,
once.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
from typing import TypeVar

import jax
from jax.sharding import Mesh
import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.moments import row_statistics, RowStatistics
from genmed_jax.engine.rows import host_rows, Rows, take_rows

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
  drawn = None  # The set that it was drawn from, and the places there.

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


def get_each(
  sets: Sequence[FeatureSet],
  function: Callable[..., T],
  of_each: Callable[..., list[T]],
  **options,
) -> list[T]:
  """``get(function, **options)`` of every set; what is missing, together.

  Args:
    sets: Of one width.
    function: As of :meth:`FeatureSet.get`.
    of_each: The same of a list of sets.
    **options: Of both.
  """
  key = function, tuple(sorted(options.items()))
  missing = list(dict.fromkeys(x for x in sets if key not in x._kept))
  if missing:
    for x, found in zip(missing, of_each(missing, **options), strict=True):
      x._kept[key] = found
  return [x._kept[key] for x in sets]


def _median_of_sample(x: FeatureSet) -> np.ndarray:
  # An odd number of images, whose median is a feature of one of them.
  size = min(_SAMPLE, (x.count - 1) // 2 * 2 + 1)
  random = np.random.default_rng(0)
  sample = x.pick(random.choice(x.count, size, replace=False)).to_host()
  return np.median(sample, axis=0).astype(np.float64)


def _statistics(x: FeatureSet) -> RowStatistics:
  with jax.enable_x64(True):
    return row_statistics(x.rows)
