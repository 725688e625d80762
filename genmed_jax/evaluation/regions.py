"""Regions of interest as sets of their own, beside the whole images."""

from collections.abc import Callable
import dataclasses
import hashlib

import numpy as np

from genmed_jax.data import regions
from genmed_jax.data.features import Features
from genmed_jax.data.intensity import as_float, parse_intensity
from genmed_jax.data.source import Source
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.sets import Sets


@dataclasses.dataclass(frozen=True)
class RegionSets:
  """The masked regions of a run's images, found when they are first asked for.

  Attributes:
    sets: The images; not all have a region.
    intensity: Their mapping to [0, 1], of whole images.
    size: Side of a crop in pixels; that of three real regions in four if None.
    masks: A source to its masks; None for its own.
  """

  sets: Sets
  intensity: str
  size: int | None = None
  masks: Callable[[Source], Callable[[int], np.ndarray]] | None = None
  _kept: dict = dataclasses.field(default_factory=dict, repr=False)

  def crops(self, source: Source) -> Source:
    """The regions of a source, ``[s, s, c]`` in [0, 1]; others are left out."""
    size, to_unit = self._side(), parse_intensity(self.intensity)
    masked, extents = self._found(source)
    source = masked.take(np.flatnonzero(extents))
    described = f'region {size} of {self.intensity}'

    def read(i: int) -> np.ndarray:
      image = as_float(to_unit(source.read(i)))
      return regions.crop(image, source.read_mask(i), size)

    def read_mask(i: int) -> np.ndarray:
      mask = source.read_mask(i)
      return regions.crop(mask, mask, size)

    return dataclasses.replace(
      source,
      stamp=lambda i: (
        f'{source.stamp(i)} {described} {_digest(source.read_mask(i))}'
      ),
      read=read,
      read_mask=read_mask,
    )

  def statistics(self, source: Source) -> Features:
    """Statistics of this process's share of the regions, as features."""
    crops = self.crops(source)
    share = mesh_lib.local_share(len(crops))
    mine = crops.take(np.arange(share.start, share.stop))
    found = np.zeros((0, len(regions.STATISTICS)), np.float32)
    if len(mine):
      images, masks = (
        np.stack([read(i) for i in range(len(mine))])
        for read in (lambda i: mine.read(i).mean(axis=-1), mine.read_mask)
      )
      found = regions.describe(regions.Regions(np.float32(images), masks))
    return Features(
      mine.name, found, {}, mine.numbers, list(mine.ids), mine.labels
    )

  def _found(self, source: Source) -> tuple[Source, np.ndarray]:
    """The source with its masks, and the extent of each region; kept."""
    if id(source) not in self._kept:
      read = source.read_mask if self.masks is None else self.masks(source)
      masked = dataclasses.replace(source, read_mask=read)
      extents = [regions.extent(read(i)) for i in range(len(source))]
      # The source too, whose number no other may take.
      self._kept[id(source)] = source, masked, np.array(extents)
    return self._kept[id(source)][1:]

  def _side(self) -> int:
    if self.size is not None:
      return self.size
    extents = self._found(self.sets.reference)[1]
    if not extents.any():
      raise UsageError(f'{self.sets.reference.name}: no image has a region')
    return regions.usual_size(extents[extents > 0])


def _digest(mask: np.ndarray) -> str:
  return hashlib.sha256(np.packbits(mask)).hexdigest()
