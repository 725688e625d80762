"""A generated set against a reference, and what the metrics on it share."""

import functools

import jax
import numpy as np

from genmed_jax import mesh as mesh_lib
from genmed_jax.errors import UsageError
from genmed_jax.features import Features
from genmed_jax.mesh import Rows
from genmed_jax.metrics import manifold, memorisation, neighbours, vendi

NEIGHBOURS = 5


class Comparison:
  """The sets of one comparison, laid over the mesh, and what they share.

  Statistics that several metrics need are computed when the first asks.
  """

  def __init__(
    self,
    mesh: jax.sharding.Mesh,
    reference: Features,
    generated: Features,
    train: Features | None = None,
    *,
    bootstrap: int = 1000,
    seed: int = 2020,
  ):
    """Sets up a comparison; nothing is computed yet.

    Args:
      mesh: The devices.
      reference: Real images.
      generated: Synthetic images.
      train: What the generator was trained on; ``reference`` if None.
      bootstrap: Replicates behind an interval; 0 for no intervals at all.
      seed: Of every draw.

    Raises:
      UsageError: if the feature widths differ.
    """
    for other in (generated, train):
      if other is not None and (
        other.values.shape[1] != reference.values.shape[1]
      ):
        raise UsageError(
          f'feature widths differ: {reference.name} has '
          f'{reference.values.shape[1]}, {other.name} '
          f'{other.values.shape[1]}'
        )
    self.mesh = mesh
    self.bootstrap = bootstrap
    self.seed = seed
    self._reference = reference
    self._generated = generated
    self._train = train

  @property
  def train_given(self) -> bool:
    """Whether training images were given, apart from the reference."""
    return self._train is not None

  @functools.cached_property
  def reference(self) -> Rows:
    """Real features over the mesh."""
    return self._shard(self._reference.values)

  @functools.cached_property
  def generated(self) -> Rows:
    """Generated features over the mesh."""
    return self._shard(self._generated.values)

  @functools.cached_property
  def logits(self) -> Rows | None:
    """Class logits of the generated images, where there are any."""
    if self._generated.logits is None:
      return None
    return self._shard(self._generated.logits)

  @property
  def sets(self) -> dict:
    """Reference and generated features, as every metric takes them."""
    return {
      'x': self.reference.values,
      'y': self.generated.values,
      'mask_x': self.reference.mask,
      'mask_y': self.generated.mask,
    }

  @functools.cached_property
  def counts(self) -> tuple[int, int]:
    """How many real and generated images there are."""
    return tuple(int(r.mask.sum()) for r in (self.reference, self.generated))

  @functools.cached_property
  def neighbourhoods(self) -> neighbours.Neighbourhoods:
    """Of the reference and the generated set."""
    return self._neighbourhoods(self.reference)

  @functools.cached_property
  def train_neighbourhoods(self) -> neighbours.Neighbourhoods:
    """Of the training and the generated set."""
    if not self.train_given:
      return self.neighbourhoods
    return self._neighbourhoods(self._shard(self._train.values))

  @functools.cached_property
  def prdc(self) -> manifold.PRDC:
    """Precision, recall, density and coverage, image by image."""
    return manifold.prdc_of(self.neighbourhoods)

  @functools.cached_property
  def authentic(self) -> np.ndarray:
    """Which generated images are authentic, ``[m]`` bool."""
    return memorisation.authenticity_of(self.train_neighbourhoods)

  @functools.cached_property
  def vendi(self) -> vendi.Vendi:
    """Vendi scores of the generated set, an entry per order."""
    return vendi.vendi_score(
      self.generated.values,
      mask=self.generated.mask,
      std_error=self.bootstrap > 0,
    )

  def halves(self) -> 'Comparison':
    """Two disjoint seeded parts of the reference, one as if generated.

    They are halves, or as large as the generated set if that is smaller.
    """
    start, count = mesh_lib.global_rows(len(self._reference.values))
    size = min(count // 2, self.counts[1])
    order = np.random.default_rng(self.seed).permutation(count)
    mine = np.arange(start, start + len(self._reference.values))
    parts = (
      self._reference.take(np.flatnonzero(np.isin(mine, part)))
      for part in (order[:size], order[size : 2 * size])
    )
    return Comparison(self.mesh, *parts, bootstrap=0, seed=self.seed)

  def _shard(self, values: np.ndarray) -> Rows:
    with jax.enable_x64(True):  # Or float64 features would be cut.
      return mesh_lib.shard_rows(self.mesh, values)

  def _neighbourhoods(self, real: Rows) -> neighbours.Neighbourhoods:
    return neighbours.neighbourhoods(
      real.values,
      self.generated.values,
      k=NEIGHBOURS,
      mask_x=real.mask,
      mask_y=self.generated.mask,
    )
