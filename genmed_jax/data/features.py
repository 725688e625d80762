"""Features of images on the host."""

import dataclasses
import functools

import numpy as np

from genmed_jax.engine.mesh import local_share

_SAMPLE = 1024  # Images whose norm is looked at.


@dataclasses.dataclass(frozen=True)
class Features:
  """Features of a set of images, or of a process's share of one.

  Attributes:
    name: Name of the set in the results.
    values: ``[n, d]``.
    outputs: Those of ``feature_set.OUTPUTS`` that the network or the file has,
      and ``feature_set.PIXELS`` of images, ``[n, ...]``.
    numbers: ``[n]``, each image's place in the whole source.
    ids: Relative path or number of each image.
    labels: Column to ``[n]`` strings.
    skipped: Number of images that could not be used.
    moved: Largest distance between the features of one image in two slots of
      a batch, where that was measured.
  """

  name: str
  values: np.ndarray
  outputs: dict[str, np.ndarray]
  numbers: np.ndarray
  ids: list[str]
  labels: dict[str, np.ndarray]
  skipped: int = 0
  moved: float = 0.0

  @functools.cached_property
  def resolution(self) -> float:
    """Distance within which features count as equal.

    Features of one image differ in their last digits with its slot in the
    batch, with the batch size and the processor.
    """
    if len(self) == 0:
      return 0.0
    # About their median: what all images share adds nothing to a distance.
    sample = np.float64(self.values[:_SAMPLE])
    norms = np.linalg.norm(sample - np.median(sample, axis=0), axis=1)
    rounding = np.finfo(self.values.dtype).eps * float(np.median(norms))
    return max(8 * self.moved, 4 * rounding)

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
