"""The contract of a metric: its declaration, its input and its result."""

from collections.abc import Callable
import dataclasses
import enum
import functools
from typing import Any, NamedTuple, TypeVar

import numpy as np

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.errors import Undefined
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import Estimate, Interval

T = TypeVar('T')

FEATURES = 'features'  # What a metric reads unless it says otherwise.


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


class Floor(NamedTuple):
  """The floor of a metric, and the excess over it; None where undefined.

  Attributes:
    value: The metric between disjoint parts of the reference.
    std_error: Its spread over splits.
    n: Images on either side.
    value_at_n: The generated set's value at that size.
    excess: How much worse the generated set is than real images, in units of
      what chance does to the difference.
    notes: To be said beside it.
    failed: Whether the metric has a bug, which the last note describes.
  """

  value: float | None = None
  std_error: float | None = None
  n: int | None = None
  value_at_n: float | None = None
  excess: float | None = None
  notes: tuple[str, ...] = ()
  failed: bool = False


class Score(NamedTuple):
  """One metric of one comparison; ``value`` is None where undefined.

  Attributes:
    value: The metric.
    interval: Its error.
    notes: To be said beside it.
    failed: Whether the metric has a bug, which the last note describes.
  """

  value: float | None = None
  interval: Interval | None = None
  notes: tuple[str, ...] = ()
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
    takes_long: Whether its parts of many images are worth few splits.
    split_worth: What chance does to its excess, of what splits show; see
      ``floors.excess_of``.
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
  takes_long: bool = False
  split_worth: float = 0.5


class Comparison:
  """The sets of one comparison, and what their metrics share.

  Attributes:
    reference: Real images.
    generated: Synthetic images.
    train: Training images of the generator; the reference where they were
      not given.
    test: Held-out images; None where they were not given.
    bootstrap: Replicates behind an interval; 0 for no errors at all.
    seed: Of every random choice.
    siblings: Comparisons that share their functions :func:`of_each`.
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
    self.test = test
    self.siblings = [self]
    self._kept = {}

  @property
  def train_given(self) -> bool:
    """Whether training images were given, apart from the reference."""
    return self.train is not self.reference

  @property
  def test_given(self) -> bool:
    """Whether held-out images were given."""
    return self.test is not None

  @property
  def counts(self) -> tuple[int, int]:
    """Numbers of real and generated images."""
    return self.reference.count, self.generated.count

  def get(self, function: Callable) -> Any:
    """``function(self)``, computed when the first metric asks for it."""
    if function not in self._kept:
      if getattr(function, 'of_each', False):
        found = function(self.siblings)
        for each, result in zip(self.siblings, found, strict=True):
          each._kept[function] = result
      else:
        self._kept[function] = function(self)
    return self._kept[function]

  @functools.cached_property
  def held_out(self) -> tuple[FeatureSet, FeatureSet]:
    """Training images, and real images that are not among them."""
    if self.test is not None:
      return self.train, self.test
    return self.train.get(halved, seed=self.seed)


def halved(x: FeatureSet, *, seed: int) -> tuple[FeatureSet, FeatureSet]:
  """Two random halves of a set, the first at least as large."""
  half = x.count // 2
  if half < 2:
    raise Undefined('needs at least 4 training images for halves')
  return tuple(x.draw(np.random.default_rng(seed), x.count - half, half))


def of_each(function: T) -> T:
  """Marks a function of a list of comparisons for :meth:`Comparison.get`.

  It is called with all siblings of the comparison that asks first.
  """
  function.of_each = True
  return function


def mean_of_images(values: np.ndarray, *notes: str) -> Measured:
  """The mean of scores of single images ``[n]``, which know of each other.

  Images share neighbours and training images: the spread of their scores is
  not all of the error.
  """
  if len(values) == 0:
    raise Undefined('there is no image to score')
  return Measured(float(np.mean(values)), None, notes)
