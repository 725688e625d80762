"""Features of images on the host."""

import dataclasses

import numpy as np

from genmed_jax.engine.mesh import local_share


@dataclasses.dataclass(frozen=True)
class Features:
  """Features of a set of images, or of a process's share of one.

  Attributes:
    name: Name of the set in the results.
    values: ``[n, d]``.
    outputs: Those of ``feature_set.OUTPUTS`` that the network or the file has,
      ``[n, ...]``.
    numbers: ``[n]``, each image's place in the whole source.
    ids: Relative path or number of each image.
    labels: Column to ``[n]`` strings.
    skipped: Number of images that could not be used.
  """

  name: str
  values: np.ndarray
  outputs: dict[str, np.ndarray]
  numbers: np.ndarray
  ids: list[str]
  labels: dict[str, np.ndarray]
  skipped: int = 0

  def __len__(self) -> int:
    """Number of images."""
    return len(self.values)

  def take(self, items: np.ndarray) -> 'Features':
    """The features of these images, in this order."""
    return dataclasses.replace(
      self,
      values=self.values[items],
      outputs={name: values[items] for name, values in self.outputs.items()},
      numbers=self.numbers[items],
      ids=[self.ids[i] for i in items],
      labels={c: values[items] for c, values in self.labels.items()},
    )

  def share(self) -> 'Features':
    """The part of a whole set that this process works on."""
    share = local_share(len(self))
    if len(share) == len(self):
      return self
    return self.take(np.arange(share.start, share.stop))
