"""An evaluation from its sources to its result rows."""

import dataclasses
import functools
from pathlib import Path

import jax
from jax.sharding import Mesh
import numpy as np

from genmed_jax import metrics
from genmed_jax.data.features import Features
from genmed_jax.engine import memory
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.config import RunConfig
from genmed_jax.evaluation.spaces import (
  check,
  feature_spaces,
  FeatureSpace,
  open_sets,
  OVERALL,
  samples_file,
)
from genmed_jax.metrics import Comparison, FeatureSet
from genmed_jax.report import results
from genmed_jax.report.results import Row
from genmed_jax.statistics import agreement

_SAMPLE_COLUMNS = (
  'features',
  'image',
  'id',
  'realism',
  'in_real_manifold',
  'density_count',
  'authentic',
  'nearest_train_image',
  'nearest_train_distance',
  'memorisation_index',
  'predicted_dice',
)


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
  """What an evaluation does: the flags of ``genmed_jax.evaluate``."""

  reference: str
  generated: tuple[str, ...]
  train: str | None = None
  test: str | None = None
  group_by: str | None = None
  generated_root: str | None = None
  on_error: str = 'fail'
  write_ids: bool = False


def evaluate(config: Config) -> list[Row]:
  """Scores every generated set and writes the results.

  Everything the user gave is checked before the first image is read.

  Args:
    config: What to do.

  Returns:
    The rows of ``results.csv``, on every process; process 0 writes.

  Raises:
    UsageError: if something in ``config`` cannot be used.
    OSError: if something cannot be read or written.
    DecodeError: if an image cannot be used and errors are not skipped.
  """
  output_dir = Path(config.output_dir)
  if config.bootstrap == 1:
    raise UsageError('--bootstrap=1: a spread takes two replicates or more')
  check(config)
  sets = open_sets(config)
  spaces = feature_spaces(config, sets)
  results.check_writable(output_dir)
  mesh = mesh_lib.data_mesh()
  rows, samples = [], {generated.name: [] for generated in sets.generated}
  provenance = results.environment() | {
    'flags': dataclasses.asdict(config),
    'features': {},
    'skipped': {},
  }
  for space in spaces:
    provenance['features'][space.name] = space.provenance
    provenance['skipped'][space.name] = space.skipped
    real = _RealSets(mesh, config, space)
    floors = {}
    for generated in space.generated:
      for group in (None, *sets.groups(generated.name, config.group_by)):
        comparison = real.compare(generated, group)
        if group is None and min(comparison.counts) < 2:
          raise UsageError(
            f'{generated.name}: fewer than two images are left to compare'
          )
        size = group, comparison.counts[1]
        if size not in floors:
          floors[size] = _floors(space, comparison.halves)
        rows += _rows(space, generated, group, comparison, floors[size])
        if group is None:
          samples[generated.name] += _samples(
            mesh, config, space, generated, comparison
          )
  if jax.process_index() == 0:
    files = {
      samples_file(name): results.csv_text(_SAMPLE_COLUMNS, lines)
      for name, lines in samples.items()
      if lines
    }
    if found := agreement.find(_scores(rows)):
      files |= found.tables()
    files['run.flags'] = results.flag_file(config, repeated=('generated',))
    files['results.json'] = results.results_json(rows, provenance)
    files['results.csv'] = results.results_csv(rows)
    results.write(output_dir, files)
    for earlier in output_dir.glob('samples_*.csv'):
      if earlier.name not in files:
        earlier.unlink()
  return rows


class _RealSets:
  """The real sets of a feature space, group by group.

  What is computed of one alone serves every generated set.
  """

  def __init__(self, mesh: Mesh, config: Config, space: FeatureSpace):
    self._mesh = mesh
    self._config = config
    self._sets = [space.reference, space.train, space.test]
    self._of_group = functools.cache(self._find)

  def compare(self, generated: Features, group: str | None) -> Comparison:
    """A generated set's images of a group, beside the real ones."""
    reference, train, test = self._of_group(group)
    return Comparison(
      reference,
      self._part(generated, group),
      train,
      test,
      bootstrap=self._config.bootstrap,
      seed=self._config.seed,
    )

  def _find(self, group: str | None) -> list[FeatureSet | None]:
    return [each and self._part(each, group) for each in self._sets]

  def _part(self, features: Features, group: str | None) -> FeatureSet:
    column = self._config.group_by
    # Training images may come without the column, and then serve whole.
    if group is None or column not in features.labels:
      return FeatureSet(self._mesh, features)
    items = np.flatnonzero(features.labels[column] == group)
    return FeatureSet(self._mesh, features, items)


def _floors(space: FeatureSpace, halves: Comparison) -> dict:
  floors = {}
  for name, key in space.metrics:
    floors[name] = metrics.floor(key, halves)
    memory.release(halves)
  return floors


def _rows(
  space: FeatureSpace,
  generated: Features,
  group: str | None,
  comparison: Comparison,
  floors: dict,
) -> list[Row]:
  skipped = generated.skipped + space.reference.skipped
  left_out = (f'{skipped} images were left out',) if skipped else ()
  called = OVERALL if group is None else group or '(none)'
  rows = []
  for name, key in space.metrics:
    score = metrics.score(key, comparison)
    memory.release(comparison)
    said = (space.notes[key],) if key in space.notes else ()
    rows.append(
      Row(
        generated.name,
        space.name,
        called,
        name,
        score.value,
        *(score.interval or (None, None, None)),
        floors[name],
        metrics.METRICS[key].direction,
        *comparison.counts,
        score.notes + said + left_out,
      )
    )
  return rows


def _scores(rows: list[Row]) -> agreement.Scores:
  """Every metric of whole sets, as agreements take them."""
  scores = {}
  for row in rows:
    if row.group == OVERALL and row.value is not None:
      ends = (row.value if e is None else e for e in (row.ci_low, row.ci_high))
      scores.setdefault((row.features, row.metric), {})[row.generated] = (
        agreement.Scored(row.value, *ends, row.direction)
      )
  return scores


def _samples(
  mesh: Mesh,
  config: Config,
  space: FeatureSpace,
  generated: Features,
  comparison: Comparison,
) -> list[tuple]:
  """A line per generated image, where metrics are made of such."""
  keys = [key for _, key in space.metrics]
  scores = None
  if any(metrics.METRICS[key].per_image for key in keys):
    scores = metrics.per_image(comparison)
  judged = 'predicted_dice' in keys
  if scores is None and not judged:
    return []
  images, trains = (
    mesh_lib.gather(mesh, features.rows)
    for features in (generated, space.train or space.reference)
  )
  ids = generated.ids if config.write_ids else [''] * len(images)
  neighbours = [(None,) * 7] * len(images)
  if scores is not None:
    index = scores.memorisation_index
    neighbours = [
      (
        scores.realism[i],
        int(scores.in_real_manifold[i]),
        int(scores.density_count[i]),
        int(scores.authentic[i]),
        trains[scores.nearest_train[i]],
        scores.nearest_train_distance[i],
        None if index is None else index[i],
      )
      for i in range(len(images))
    ]
  dice = [None] * len(images)
  if judged:
    dice = mesh_lib.gather(mesh, generated.beside['predicted_dice'])[:, 0]
  lines = zip(images, ids, neighbours, dice, strict=True)
  return [
    (space.name, image, name, *near, value)
    for image, name, near, value in lines
  ]
