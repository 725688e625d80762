"""A set of images, read one by one."""

from collections.abc import Callable, Sequence
import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from genmed_jax.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Source:
  """A set of images, read one at a time and in a fixed order.

  Attributes:
    name: Name of the set in the results.
    ids: Relative path, or number, of each item.
    numbers: ``[n]``, each item's place in the whole source.
    stamp: Item number to a text that identifies its content, for caches.
    labels: Column to ``[n]`` strings.
    read: Item number to ``[h, w, c]`` pixels; may raise anything on a broken
      file.
    read_mask: Item number to ``[h, w]`` bool, the region of interest, if it
      is known.
  """

  name: str
  ids: Sequence[str]
  numbers: np.ndarray
  stamp: Callable[[int], str]
  labels: dict[str, np.ndarray]
  read: Callable[[int], np.ndarray]
  read_mask: Callable[[int], np.ndarray] | None = None

  def __len__(self) -> int:
    """Number of images."""
    return len(self.ids)

  def digest(self, rows: range) -> str:
    """A digest of the content list of ``rows``."""
    digest = hashlib.sha256()
    for row in rows:
      digest.update(self.stamp(row).encode(errors='surrogateescape') + b'\0')
    return digest.hexdigest()

  def take(self, items: np.ndarray) -> 'Source':
    """The source of these items, in this order."""
    return Source(
      self.name,
      [self.ids[i] for i in items],
      self.numbers[items],
      lambda i: self.stamp(int(items[i])),
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


def path_of(text: str) -> Path:
  """The path that a text names, ``~`` standing for home folders.

  Raises:
    UsageError: if there is no such home folder.
  """
  try:
    return Path(text).expanduser()
  except RuntimeError as error:
    raise UsageError(f'{text}: there is no such home folder') from error


def file_stamp(path: Path) -> str:
  """A text that identifies a file's content without reading it.

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
