"""An evaluation: from its options to its result rows."""

from collections.abc import Iterator, Sequence
import dataclasses
import functools

import numpy as np

from genmed_jax import options
from genmed_jax.data.features import Features
from genmed_jax.data.subjects import find_subjects, numbers_of
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.mesh import data_mesh
from genmed_jax.engine.progress import by_name
from genmed_jax.engine.rows import gather
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.config import EvaluationConfig
from genmed_jax.evaluation.sets import ImageSet, open_sets, Sets
from genmed_jax.evaluation.spaces import check, FeatureSpace, load_spaces
from genmed_jax.metrics import Comparison
from genmed_jax.metrics.registry import (
  attempt,
  columns_of,
  described,
  floor,
  score,
)
from genmed_jax.report.evaluation import Evaluation
from genmed_jax.report.provenance import environment
from genmed_jax.report.results import OVERALL, Result


@dataclasses.dataclass(frozen=True)
class EvaluationPlan:
  """An evaluation whose options, sources and networks are in order."""

  config: EvaluationConfig
  sets: Sets
  spaces: list[FeatureSpace]

  def run(self) -> Evaluation:
    """Scores every generated set in every feature space.

    Raises:
      OSError: if something cannot be read.
      DecodeError: if an image cannot be used and errors are not skipped.
    """
    found = []
    for space in self.spaces:
      real = RealImages(self.config, self.sets, space)
      generated = [space.extract(each) for each in self.sets.generated]
      for source, features in zip(self.sets.generated, generated, strict=True):
        groups = self.sets.groups(source, self.config.group_by)
        found.append(real.score(features, ids_of(source), groups))
    return evaluation_of(self.config, self.spaces, found)


def prepare(config: EvaluationConfig) -> EvaluationPlan:
  """Opens the sources and loads the networks; no image is read.

  Raises:
    UsageError: if something in ``config`` cannot be used.
    FileNotFoundError: if weights are missing.
  """
  if config.bootstrap == 1:
    raise UsageError('`bootstrap=1`: a spread takes two replicates or more')
  check(config)
  sets = open_sets(config)
  return EvaluationPlan(config, sets, load_spaces(config, sets))


@dataclasses.dataclass(frozen=True)
class SetScores:
  """The scores of one generated set in one feature space.

  Attributes:
    rows: Of the results.
    samples: A line of column to value for every image; None where no metric
      has scores of single images.
    skipped: Set to the number of its images that could not be used; the
      generated set by its name under ``generated``.
    failures: A line for every metric that has a bug.
  """

  rows: list[Result]
  samples: list[dict] | None
  skipped: dict
  failures: list[str]


def evaluation_of(
  config: EvaluationConfig,
  spaces: list[FeatureSpace],
  found: list[SetScores],
) -> Evaluation:
  """The evaluation that the scores of all sets make."""
  samples, skipped = {}, {space.name: {} for space in spaces}
  for each in found:
    name, features = each.rows[0].generated, each.rows[0].features
    generated = skipped[features].get('generated', {})
    generated |= each.skipped['generated']
    skipped[features] = each.skipped | {'generated': generated}
    if each.samples is not None:
      samples.setdefault(name, []).extend(each.samples)
  return Evaluation(
    rows=[row for each in found for row in each.rows],
    samples=samples,
    provenance=environment()
    | {
      'flags': options.described(config),
      'features': {space.name: space.provenance for space in spaces},
      'skipped': skipped,
    },
    flag_file=options.flag_file(config) if config.generated else None,
    failures=[line for each in found for line in each.failures],
  )


def ids_of(source: ImageSet) -> dict[int, str]:
  """The number of every image of a set to its relative path, or number."""
  return dict(zip(source.numbers.tolist(), source.ids, strict=True))


class RealImages:
  """The real sets in one feature space, whole and group by group.

  What is computed of one alone, and the floors, serve every generated set.
  """

  def __init__(self, config: EvaluationConfig, sets: Sets, space: FeatureSpace):
    """Extracts the features of the real sets."""
    self._config = config
    self._space = space
    self._mesh = data_mesh()
    self._reference, self._train, self._test = (
      None if each is None else space.extract(each)
      for each in (
        (sets.reference, sets.train, sets.test)
        if space.whole
        else (sets.reference, None, None)
      )
    )
    self._of_group = functools.cache(self._find)

  def score(
    self, generated: Features, ids: dict[int, str], groups: Sequence[str] = ()
  ) -> SetScores:
    """Scores a generated set, whole and group by group.

    Args:
      generated: Its features.
      ids: The number of every image to its relative path, or number.
      groups: Values of the column ``group_by`` to score apart.

    Raises:
      UsageError: if fewer than two images are left.
    """
    real = {
      'reference': self._reference,
      'train': self._train,
      'test': self._test,
    }
    whole = self.compare(generated, None)
    if self._space.whole and min(whole.counts) < 2:
      raise UsageError(
        f'{generated.name}: fewer than two images are left to compare'
      )
    failures = []
    rows = list(self._rows(generated, OVERALL, None, whole, failures))
    samples = self._samples(generated, ids, whole, failures)
    for group in groups:
      part = self.compare(generated, group)
      name = group or '(none)'
      rows += self._rows(generated, name, group, part, failures)
    skipped = {
      name: 0 if each is None else each.skipped for name, each in real.items()
    }
    skipped['generated'] = {generated.name: generated.skipped}
    return SetScores(rows, samples, skipped, failures)

  def compare(self, generated: Features, group: str | None) -> Comparison:
    """A generated set's images of a group, with the real ones."""
    reference, train, test = self._of_group(group)
    return Comparison(
      reference,
      self._part(generated, group),
      train,
      test,
      bootstrap=self._config.bootstrap,
      seed=self._config.seed,
    )

  def _find(self, group: str | None) -> list[LocalFeatures | None]:
    return [
      None if each is None else self._part(each, group) for each in self._sets
    ]

  @property
  def _sets(self) -> tuple[Features | None, ...]:
    return self._reference, self._train, self._test

  def _part(self, features: Features, group: str | None) -> LocalFeatures:
    whole = LocalFeatures(
      self._mesh,
      features.values,
      features.outputs,
      resolution=features.resolution,
      subjects=self._subjects(features),
    )
    column = self._config.group_by
    # Training images may come without the column, and then serve whole.
    if group is None or column not in features.labels:
      return whole
    return whole.part(np.flatnonzero(features.labels[column] == group))

  def _subjects(self, features: Features) -> np.ndarray | None:
    """Numbers of the subjects of images; None if they are unknown.

    A pattern says nothing of generated images, which may be of nobody.
    """
    column, pattern = self._config.subject_column, self._config.subject_pattern
    is_real = any(features is each for each in self._sets)
    known = column in features.labels or (is_real and (column or pattern))
    if not known:
      return None
    return numbers_of(find_subjects(features, column, pattern))

  def _rows(
    self,
    generated: Features,
    name: str,
    group: str | None,
    comparison: Comparison,
    failures: list[str],
  ) -> Iterator[Result]:
    space = self._space
    skipped = generated.skipped + self._reference.skipped
    left_out = (f'{skipped} images were left out',) if skipped else ()
    desc = f'{generated.name} {"" if group is None else group}'.strip()
    for metric_name, metric in by_name(space.metrics, desc):
      found, least = (
        attempt(function, metric, comparison) for function in (score, floor)
      )
      for each, what in ((found, 'value'), (least, 'floor')):
        if each.failed:
          failures.append(f'{what} of {metric_name}, {desc}, {each.notes[-1]}')
      said = (space.notes[metric.name],) if metric.name in space.notes else ()
      yield Result(
        generated.name,
        space.name,
        name,
        metric_name,
        found.value,
        *(found.interval or (None, None, None)),
        least.value,
        least.std_error,
        least.n,
        least.value_at_n,
        least.excess,
        metric.direction,
        *comparison.counts,
        found.notes + least.notes + said + left_out,
      )

  def _samples(
    self,
    generated: Features,
    ids: dict[int, str],
    comparison: Comparison,
    failures: list[str],
  ) -> list[dict] | None:
    """A line per generated image, where metrics are made of such."""
    columns = {}
    for metric in self._space.metrics.values():
      try:
        found = columns_of(metric, comparison)
      except Exception as error:
        failures.append(f'{metric.name} of single images: {described(error)}')
        continue
      for column, values in found.items():
        if column.indexes_train:
          train = self._reference if self._train is None else self._train
          values = gather(self._mesh, train.numbers)[values]
        columns[column.name] = values.tolist()
    if not columns:
      return None
    images = gather(self._mesh, generated.numbers).tolist()
    if not self._config.write_ids:
      ids = dict.fromkeys(ids, '')
    return [
      {'features': self._space.name, 'image': image, 'id': ids[image]}
      | dict(zip(columns, values, strict=True))
      for image, *values in zip(images, *columns.values(), strict=True)
    ]
