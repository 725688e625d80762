"""The contract of a metric: its declaration, its input and its result."""

from collections.abc import Callable
import dataclasses
import enum
import functools
from typing import NamedTuple, TypeVar

import numpy as np

from genmed_jax.engine.feature_set import FeatureSet, LocalFeatures
from genmed_jax.errors import Undefined
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import Estimate, Interval

T = TypeVar('T')

FEATURES = 'features'  # What a metric reads unless it says otherwise.

SPLITS = 10  # Into parts, behind an error.
_LARGEST_PART = 5000  # Images in a part, which is a half where it is smaller.
_SMALLEST_PART = 30


class Aspect(enum.IntEnum):
  """The question that a metric answers, in the order of tables."""

  FIDELITY = 0  # Do generated images look real?
  COVERAGE = 1  # Are real images, all kinds of them, generated?
  MEMORISATION = 2  # Are they copies of training images?
  USEFULNESS = 3  # Do they serve a downstream task?


class Column(NamedTuple):
  """Scores of single generated images, a column of ``samples_*.csv``.

  Attributes:
    name: Head of the column.
    values: Comparison to ``[m]``, one for each generated image.
    indexes_train: Whether they are places of training images.
  """

  name: str
  values: Callable[['Comparison'], np.ndarray]
  indexes_train: bool = False


class Alias(NamedTuple):
  """The name of a metric on the features that it was defined on.

  Attributes:
    name: As networks list it in ``FeatureNetwork.earns``.
    where: Those features in words, for messages.
  """

  name: str
  where: str


class Measured(NamedTuple):
  """A metric of two sets before its interval.

  Attributes:
    value: The metric.
    std_error: Its standard error; None where it takes parts of the sets.
    notes: To be said beside it.
  """

  value: float
  std_error: float | None = None
  notes: tuple[str, ...] = ()

  @classmethod
  def of(cls, estimate: Estimate, *notes: str) -> 'Measured':
    """An estimate, and what is to be said beside it."""
    return cls(estimate.value, estimate.std_error, notes)


class Score(NamedTuple):
  """One metric of one comparison; ``value`` is None where undefined.

  Attributes:
    value: The metric.
    interval: Its error.
    notes: To be said beside it.
    failed: Whether the metric has a bug, which the last note describes.
  """

  value: float | None
  interval: Interval | None
  notes: tuple[str, ...]
  failed: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
  """The declaration of a metric.

  Attributes:
    name: Its key.
    aspect: The question that it answers.
    direction: Which values are better.
    measure: Comparison to :class:`Measured`; ``Undefined`` where it is not
      defined.
    within: Its range.
    share_of: The attribute of a comparison that it is a share of.
    reads: What it is made of: :data:`FEATURES`, one of ``feature_set.OUTPUTS``
      or ``feature_set.PIXELS``.
    columns: Its scores of single images.
    alias: Its name on the features that it was defined on.
    headline: Whether tables name it before the others of its aspect.
  """

  name: str
  aspect: Aspect
  direction: Direction
  measure: Callable[['Comparison'], Measured]
  within: tuple[float, float] = (-np.inf, np.inf)
  share_of: str | None = None
  reads: str = FEATURES
  columns: tuple[Column, ...] = ()
  alias: Alias | None = None
  headline: bool = False


class Comparison:
  """The sets of one comparison, and what their metrics share.

  Attributes:
    reference: Real images.
    generated: Synthetic images.
    train: Training images of the generator; the reference where they were
      not given.
    bootstrap: Replicates behind an interval; 0 for no errors at all.
    seed: Of every random choice.
  """

  def __init__(
    self,
    reference: LocalFeatures,
    generated: LocalFeatures,
    train: LocalFeatures | None = None,
    test: LocalFeatures | None = None,
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
      bootstrap: Replicates behind an interval; 0 for no errors at all.
      seed: Of every random choice.
    """
    self.reference = reference
    self.generated = generated
    self.train = reference if train is None else train
    self.bootstrap = bootstrap
    self.seed = seed
    self._test = test
    self._kept = {}

  @property
  def train_given(self) -> bool:
    """Whether training images were given, apart from the reference."""
    return self.train is not self.reference

  @property
  def test_given(self) -> bool:
    """Whether held-out images were given."""
    return self._test is not None

  @property
  def counts(self) -> tuple[int, int]:
    """Numbers of real and generated images."""
    return self.reference.count, self.generated.count

  def get(self, function: Callable[['Comparison'], T]) -> T:
    """``function(self)``, computed when the first metric asks for it."""
    if function not in self._kept:
      self._kept[function] = function(self)
    return self._kept[function]

  @functools.cached_property
  def held_out(self) -> tuple[FeatureSet, FeatureSet]:
    """Training images, and real images that are not among them."""
    if self._test is not None:
      return self.train, self._test
    half = self.train.count // 2
    if half < 2:
      raise Undefined('needs at least 4 training images for halves')
    random = np.random.default_rng(self.seed)
    return tuple(self.train.draw(random, self.train.count - half, half))

  @functools.cached_property
  def share_of_part(self) -> float:
    """Share of each set's images that a part of :attr:`parts` has."""
    most, fewest = max(self.counts), min(self.counts)
    return min(0.5, max(_LARGEST_PART / most, _SMALLEST_PART / fewest))

  @functools.cached_property
  def parts(self) -> list[tuple['Comparison', 'Comparison']]:
    """Pairs of comparisons of disjoint seeded parts of both sets.

    Training images are parts of the reference if it stands for them. Those
    that were given stay whole, and so do held-out ones: a copy of one left
    out would pass for authentic.
    """
    random = np.random.default_rng([self.seed, 1])
    train = self.train if self.train_given else None

    def pair():
      sides = (
        each.draw(random, *(2 * [int(self.share_of_part * each.count)]))
        for each in (self.reference, self.generated)
      )
      return tuple(
        Comparison(*side, train, self._test, bootstrap=0, seed=self.seed)
        for side in zip(*sides, strict=True)
      )

    return [pair() for _ in range(SPLITS)]

  @functools.cached_property
  def halves(self) -> 'Comparison':
    """Two disjoint seeded parts of the reference, one as if generated.

    They are halves, or as large as the generated set if that is smaller.
    """
    size = min(self.reference.count // 2, self.generated.count)
    random = np.random.default_rng(self.seed)
    parts = self.reference.draw(random, size, size)
    return Comparison(*parts, bootstrap=0, seed=self.seed)


def mean_of_images(values: np.ndarray, *notes: str) -> Measured:
  """The mean of scores of single images ``[n]``, which know of each other.

  Images share neighbours and training images: the spread of their scores is
  not all of the error.
  """
  if len(values) == 0:
    raise Undefined('there is no image to score')
  return Measured(float(np.mean(values)), None, notes)
