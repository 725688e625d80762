"""The features of a set of images, before they are laid over the mesh."""

import dataclasses

import numpy as np

# What a network gives beside the features: for the Inception Score, the sFID,
# and what masks of a segmenter are worth.
BESIDE = ('logits', 'spatial', 'predicted_dice')


@dataclasses.dataclass(frozen=True)
class Features:
  """This process's share of a set's features, on the host.

  Attributes:
    name: Of the set.
    values: ``[n, d]``.
    beside: Those of :data:`BESIDE` that the network gives, ``[n, ...]``.
    rows: ``[n]``, each row's place in the whole source.
    ids: Which image each row is.
    labels: Column to ``[n]`` strings.
    skipped: How many images of the share could not be used.
  """

  name: str
  values: np.ndarray
  beside: dict[str, np.ndarray]
  rows: np.ndarray
  ids: list[str]
  labels: dict[str, np.ndarray]
  skipped: int = 0

  def take(self, items: np.ndarray) -> 'Features':
    """The features of these rows."""
    return dataclasses.replace(
      self,
      values=self.values[items],
      beside={tap: values[items] for tap, values in self.beside.items()},
      rows=self.rows[items],
      ids=[self.ids[i] for i in items],
      labels={c: values[items] for c, values in self.labels.items()},
    )
