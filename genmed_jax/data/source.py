"""What a set of images, or of ready features, is to the rest of the package."""

from collections.abc import Callable, Sequence
import dataclasses
import hashlib
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True)
class Source:
  """A set of images, read one at a time and in a fixed order.

  Attributes:
    name: What the set is called in the results.
    ids: Which image each item is: a relative path, or a number.
    numbers: ``[n]``, each item's place in the whole source.
    stamps: What each item's content depends on, for the feature cache.
    labels: Column to ``[n]`` strings.
    read: Item number to ``[h, w, c]`` pixels; may raise anything on a broken
      file.
    read_mask: Item number to ``[h, w]`` bool, where the region of interest
      is, if that is known.
  """

  name: str
  ids: Sequence[str]
  numbers: np.ndarray
  stamps: Sequence[str]
  labels: dict[str, np.ndarray]
  read: Callable[[int], np.ndarray]
  read_mask: Callable[[int], np.ndarray] | None = None

  def __len__(self) -> int:
    """How many images there are."""
    return len(self.ids)

  def digest(self, rows: range) -> str:
    """A digest of the content list of ``rows``."""
    digest = hashlib.sha256()
    for row in rows:
      digest.update(self.stamps[row].encode(errors='surrogateescape') + b'\0')
    return digest.hexdigest()

  def take(self, items: np.ndarray) -> 'Source':
    """The source of these items, in this order."""
    return Source(
      self.name,
      [self.ids[i] for i in items],
      self.numbers[items],
      [self.stamps[i] for i in items],
      {column: values[items] for column, values in self.labels.items()},
      lambda i: self.read(int(items[i])),
      self.read_mask and (lambda i: self.read_mask(int(items[i]))),
    )

  def of_masks(self) -> 'Source':
    """The masks themselves as images ``[h, w, 1]`` uint8, 0 or 255."""
    return dataclasses.replace(
      self,
      read=lambda i: self.read_mask(i)[:, :, None] * np.uint8(255),
    )


@dataclasses.dataclass(frozen=True)
class StoredFeatures:
  """A set whose features are given, so that it skips the network.

  Attributes:
    name: What the set is called in the results.
    ids: Row numbers.
    numbers: ``[n]``, each row's place in the whole source.
    labels: Column to ``[n]`` strings.
    features: ``[n, d]``.
    beside: Those of ``features.BESIDE`` that the file has, ``[n, ...]``.
  """

  name: str
  ids: Sequence[str]
  numbers: np.ndarray
  labels: dict[str, np.ndarray]
  features: np.ndarray
  beside: dict[str, np.ndarray]

  def __len__(self) -> int:
    """How many rows there are."""
    return len(self.features)

  def take(self, items: np.ndarray) -> 'StoredFeatures':
    """The set of these rows, in this order."""
    return StoredFeatures(
      self.name,
      [self.ids[i] for i in items],
      self.numbers[items],
      {column: values[items] for column, values in self.labels.items()},
      self.features[items],
      {tap: values[items] for tap, values in self.beside.items()},
    )


def file_stamp(path: Path) -> str:
  """What tells a file's content from any other's without reading it.

  Size and time of writing alone would take one folder for another whose
  files have the same names, sizes and times, as copies made by tools that
  normalise times have. Nothing sets the time of change.

  Raises:
    OSError: if it is not there.
  """
  status = path.stat()
  return (
    f'{path.resolve()} {status.st_size} {status.st_mtime_ns} '
    f'{status.st_ctime_ns}'
  )
