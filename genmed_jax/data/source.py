"""What a set of images, or of ready features, is to the rest of the package."""

from collections.abc import Callable, Sequence
import dataclasses
import hashlib

import numpy as np


@dataclasses.dataclass(frozen=True)
class Source:
  """A set of images, read one at a time and in a fixed order.

  Attributes:
    name: What the set is called in the results.
    ids: Which image each item is: a relative path, or a number.
    stamps: What each item's content depends on, for the feature cache: of a
      file its path in the set, size and time of change.
    labels: Column to ``[n]`` strings.
    read: Item number to ``[h, w, c]`` pixels; may raise anything on a broken
      file.
  """

  name: str
  ids: Sequence[str]
  stamps: Sequence[str]
  labels: dict[str, np.ndarray]
  read: Callable[[int], np.ndarray]

  def __len__(self) -> int:
    """How many images there are."""
    return len(self.ids)

  def digest(self, rows: range) -> str:
    """A digest of the content list of ``rows``."""
    digest = hashlib.sha256()
    for row in rows:
      digest.update(self.stamps[row].encode() + b'\0')
    return digest.hexdigest()

  def take(self, items: np.ndarray) -> 'Source':
    """The source of these items, in this order."""
    return Source(
      self.name,
      [self.ids[i] for i in items],
      [self.stamps[i] for i in items],
      {column: values[items] for column, values in self.labels.items()},
      lambda i: self.read(int(items[i])),
    )


@dataclasses.dataclass(frozen=True)
class StoredFeatures:
  """A set whose features are given, so that it skips the network.

  Attributes:
    name: What the set is called in the results.
    ids: Row numbers.
    labels: Column to ``[n]`` strings.
    features: ``[n, d]``.
    logits: ``[n, classes]`` for the Inception Score, if the file has them.
  """

  name: str
  ids: Sequence[str]
  labels: dict[str, np.ndarray]
  features: np.ndarray
  logits: np.ndarray | None

  def __len__(self) -> int:
    """How many rows there are."""
    return len(self.features)

  def take(self, items: np.ndarray) -> 'StoredFeatures':
    """The set of these rows, in this order."""
    return StoredFeatures(
      self.name,
      [self.ids[i] for i in items],
      {column: values[items] for column, values in self.labels.items()},
      self.features[items],
      None if self.logits is None else self.logits[items],
    )
