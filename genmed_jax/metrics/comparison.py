"""A generated set against a reference, and what the metrics on it share."""

import functools

import numpy as np

from genmed_jax.engine.feature_set import FeatureSet, NEIGHBOURS
from genmed_jax.engine.nearest import Nearest, nearest_neighbours
from genmed_jax.engine.rows import TooFewImages
from genmed_jax.errors import UsageError
from genmed_jax.metrics import (
  discrepancies,
  likelihood,
  manifold,
  memorisation,
  neighbours,
  sliced,
  vendi,
)
from genmed_jax.statistics.intervals import Estimate

# Images of each set that likelihoods are taken of: they hold all distances.
LIKELIHOOD_IMAGES = 10_000


class Comparison:
  """The sets of one comparison, and what their metrics share.

  Statistics that several metrics need are computed when the first asks.
  """

  def __init__(
    self,
    reference: FeatureSet,
    generated: FeatureSet,
    train: FeatureSet | None = None,
    test: FeatureSet | None = None,
    *,
    bootstrap: int = 1000,
    seed: int = 2020,
  ):
    """Sets up a comparison; nothing is computed yet.

    Args:
      reference: Real images.
      generated: Synthetic images.
      train: What the generator was trained on; ``reference`` if None.
      test: Real images it was not trained on; if None, half of ``train``,
        which then is the other half where held-out images are needed.
      bootstrap: Replicates behind an interval; 0 for no intervals at all.
      seed: Of every draw.

    Raises:
      UsageError: if the feature widths differ.
    """
    width = reference.features.values.shape[1]
    for other in (generated, train, test):
      if other and other.features.values.shape[1] != width:
        raise UsageError(
          f'feature widths differ: {reference.features.name} has {width}, '
          f'{other.features.name} {other.features.values.shape[1]}'
        )
    self.reference = reference
    self.generated = generated
    self.train = train or reference
    self.bootstrap = bootstrap
    self.seed = seed
    self._test = test

  @property
  def train_given(self) -> bool:
    """Whether training images were given, apart from the reference."""
    return self.train is not self.reference

  @property
  def test_given(self) -> bool:
    """Whether held-out images were given."""
    return self._test is not None

  @property
  def sets(self) -> dict:
    """Reference and generated features, as every metric takes them."""
    return {
      'x': self.reference.rows.values,
      'y': self.generated.rows.values,
      'mask_x': self.reference.rows.mask,
      'mask_y': self.generated.rows.mask,
    }

  @property
  def counts(self) -> tuple[int, int]:
    """How many real and generated images there are."""
    return self.reference.count, self.generated.count

  @functools.cached_property
  def neighbourhoods(self) -> neighbours.Neighbourhoods:
    """Of the reference and the generated set."""
    return neighbours.neighbourhoods(
      **self.sets,
      k=NEIGHBOURS,
      own_x=self.reference.neighbours,
      own_y=self.generated.neighbours,
    )

  @functools.cached_property
  def to_train(self) -> Nearest:
    """The nearest training image of each generated one, ``[m, 1]``."""
    if self.train_given:
      return _nearest(self.train, self.generated)
    return self.neighbourhoods.nearest_real

  @functools.cached_property
  def prdc(self) -> manifold.PRDC:
    """Precision, recall, density and coverage, image by image."""
    return manifold.prdc_of(self.neighbourhoods)

  @functools.cached_property
  def authentic(self) -> np.ndarray:
    """Which generated images are authentic, ``[m]`` bool."""
    return memorisation.authenticity_of(self.to_train, self.train.neighbours)

  @functools.cached_property
  def held_out(self) -> tuple[FeatureSet, FeatureSet]:
    """Training images, and real images that are not among them."""
    if self.test_given:
      return self.train, self._test
    half = self.train.count // 2
    if half < 2:
      raise TooFewImages('needs at least 4 training images for halves')
    random = np.random.default_rng(self.seed)
    return tuple(self.train.draw(random, self.train.count - half, half))

  @functools.cached_property
  def memorised(self) -> tuple[np.ndarray, float]:
    """Index of memorisation of each generated image, and its threshold."""
    train, test = self.held_out
    to_train = self.to_train if self.test_given else None
    return memorisation.memorisation_index(
      *(
        np.sqrt(found.squared[:, 0])
        for found in (
          to_train or _nearest(train, self.generated),
          _nearest(train, test),
        )
      )
    )

  @functools.cached_property
  def discrepancies(self) -> discrepancies.Discrepancies:
    """Every kernel discrepancy."""
    return discrepancies.all_discrepancies(**self.sets, seed=self.seed)

  @functools.cached_property
  def sliced(self) -> sliced.SlicedDistances:
    """Every sliced Wasserstein distance."""
    return sliced.sliced_distances(**self.sets, seed=self.seed)

  @functools.cached_property
  def vendi(self) -> vendi.Vendi:
    """Vendi scores of the generated set, an entry per order."""
    rows = self.generated.rows
    return vendi.vendi_score(
      rows.values, mask=rows.mask, std_error=self.bootstrap > 0
    )

  @functools.cached_property
  def likelihood_score(self) -> Estimate:
    """FLS: half of the training images fit, as many others are the baseline."""
    train, test = self.held_out
    random = np.random.default_rng(self.seed)
    size = min(train.count // 2, self.generated.count, LIKELIHOOD_IMAGES)
    half, baseline = train.draw(random, size, size)
    return likelihood.feature_likelihood_score(
      half.to_host(),
      baseline.to_host(),
      _at_most(test, random),
      _at_most(self.generated, random, size),
    )

  @functools.cached_property
  def likelihood_divergence(self) -> likelihood.FeatureLikelihoodDivergence:
    """FLD on test and train images, and the gap."""
    train, test = self.held_out
    random = np.random.default_rng(self.seed)
    # Not as *sets: the call would hold on to what is too large to hold twice.
    return likelihood.feature_likelihood_divergence(
      _at_most(train, random),
      _at_most(test, random),
      _at_most(self.generated, random),
      seed=self.seed,
    )

  @functools.cached_property
  def halves(self) -> 'Comparison':
    """Two disjoint seeded parts of the reference, one as if generated.

    They are halves, or as large as the generated set if that is smaller.
    """
    size = min(self.reference.count // 2, self.generated.count)
    random = np.random.default_rng(self.seed)
    parts = self.reference.draw(random, size, size)
    return Comparison(*parts, bootstrap=0, seed=self.seed)


def _nearest(x: FeatureSet, y: FeatureSet) -> Nearest:
  return nearest_neighbours(
    x.rows.values, y.rows.values, mask_x=x.rows.mask, mask_y=y.rows.mask
  )


def _at_most(
  images: FeatureSet, random: np.random.Generator, size: int | None = None
) -> np.ndarray:
  """As many of the images as likelihoods are taken of, on the host."""
  size = min(size or LIKELIHOOD_IMAGES, images.count)
  return images.draw(random, size)[0].to_host()
