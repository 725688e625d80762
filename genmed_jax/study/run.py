"""A study from its options to its findings."""

import dataclasses
import os
from pathlib import Path

from absl import logging
import numpy as np
from PIL import Image

from genmed_jax import options
from genmed_jax.data import regions
from genmed_jax.data.formats import open_source
from genmed_jax.data.source import Source
from genmed_jax.data.subjects import find_subjects
from genmed_jax.engine.progress import progress
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.spaces import check, load_networks
from genmed_jax.metrics import Metric
from genmed_jax.metrics.base import FEATURES
from genmed_jax.metrics.registry import ALL
from genmed_jax.networks import FeatureNetwork
from genmed_jax.report import files
from genmed_jax.report.provenance import environment
from genmed_jax.statistics.agreement import Scores
from genmed_jax.study.clock import Clock
from genmed_jax.study.conditions import (
  BASELINE,
  Condition,
  conditions,
  constants,
)
from genmed_jax.study.design import Roles, split, StudyConfig
from genmed_jax.study.effects import Found
from genmed_jax.study.effects import Scores as ConditionScores
from genmed_jax.study.page import study_files
from genmed_jax.study.perturbed import (
  changes_images,
  composed,
  greyscale,
  perturbed,
)
from genmed_jax.study.scoring import REGION_METRICS, Scorer
from genmed_jax.study.verdicts import ConditionRow, Effect

# Fewer regions in a set make no distribution.
_FEWEST_REGIONS = 10


@dataclasses.dataclass(frozen=True)
class Study:
  """The findings of a study.

  Attributes:
    name: Of the source.
    rows: A row per condition, seed, network and metric.
    effects: An effect per network, family and metric.
    scored: Every metric under every condition, means over seeds.
    provenance: Versions, devices, options and weights.
    flag_file: Flags that repeat the study.
    failures: A line for every metric that has a bug.
  """

  name: str
  rows: list[ConditionRow]
  effects: list[Effect]
  scored: Scores
  provenance: dict
  flag_file: str | None
  failures: list[str]

  def save(self, folder: str | os.PathLike) -> None:
    """Writes tables, figures and a page in words.

    Raises:
      OSError: if the folder cannot be written.
    """
    folder = Path(folder)
    files.check_writable(folder)
    made = study_files(
      self.name, self.rows, self.effects, self.scored, self.provenance
    )
    if self.flag_file is not None:
      made['run.flags'] = f'{self.flag_file}--output_dir={folder}\n'
    files.write(folder, made)


@dataclasses.dataclass(frozen=True)
class StudyPlan:
  """A study whose options, source and networks are in order."""

  config: StudyConfig
  source: Source
  conditions: list[Condition]
  subjects: np.ndarray
  roles: dict[int, Roles]
  networks: list[tuple[FeatureNetwork, dict[str, Metric]]]
  region_metrics: tuple[str, ...] | None
  flag_file: str | None

  def run(self) -> Study:
    """Scores every condition with every metric.

    Raises:
      UsageError: if regions or sets cannot be drawn.
      OSError: if something cannot be read.
      DecodeError: if an image cannot be used.
    """
    config, clock = self.config, Clock()
    region_metrics, extents = _regions(
      self.source, self.roles, self.region_metrics
    )
    if region_metrics and config.region_size is None:
      config = dataclasses.replace(
        config, region_size=regions.usual_size(extents[extents > 0])
      )
    rows, effects, failures, scored = [], [], [], {}
    for network, defined in self.networks:
      scorer = Scorer(
        config,
        self.source,
        extents > 0,
        network,
        defined,
        region_metrics if _reads_features(defined) else (),
        self.roles,
        clock,
      )
      found = Found(
        scorer.name,
        scorer.directions,
        _score_all(scorer, self.conditions, list(self.roles)),
      )
      effects += found.effects
      rows += found.rows()
      failures += found.failures
      scored |= found.scored()
    first = next(iter(self.roles.values()))
    provenance = environment() | {
      'flags': options.described(config),
      'features': {n.name: n.provenance for n, _ in self.networks},
      'constants': constants(self.source, self.config),
      'subjects': len(np.unique(self.subjects)),
      'images': {role: len(items) for role, items in first._asdict().items()},
      'seconds': dict(clock.seconds),
    }
    return Study(
      self.source.name,
      rows,
      effects,
      scored,
      provenance,
      self.flag_file,
      failures,
    )

  def write_images(self, folder: Path) -> None:
    """Writes every set as 8-bit PNGs, a folder per condition and seed."""
    given = constants(self.source, self.config)
    for seed, parts in self.roles.items():
      sets = {f'{BASELINE}_{seed}': self.source.take(parts.base)}
      for condition in self.conditions:
        name = f'{files.file_stem(str(condition))}_{seed}'
        if changes_images(condition):
          sets[name] = perturbed(
            self.source, parts.base, condition, seed, Clock(), given
          )
        else:
          items = composed(self.source, self.config, condition, parts, seed)
          sets[name] = self.source.take(items)
      for name, images in sets.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(len(images)):
          pixels = np.round(255 * images.read(i)[:, :, 0]).astype(np.uint8)
          Image.fromarray(pixels).save(folder / name / f'{i:05d}.png')


def prepare(config: StudyConfig) -> StudyPlan:
  """Opens the source and loads the networks; no image is scored.

  Raises:
    UsageError: if something in ``config`` cannot be used.
    FileNotFoundError: if weights are missing.
  """
  if config.bootstrap < 2:
    raise UsageError(
      f'`bootstrap={config.bootstrap}`: verdicts need standard errors, so two '
      'replicates or more'
    )
  flag_file = options.flag_file(config)
  whole, region_metrics = _split_metrics(config.metrics)
  config = dataclasses.replace(config, metrics=whole)
  check(config)
  source = _opened(config)
  chosen = conditions(source, config)
  known = find_subjects(source, config.subject_column, config.subject_pattern)
  seeds = range(config.seed, config.seed + config.seeds)
  roles = {
    seed: split(known, config.images, seed, config.reference_holds_train)
    for seed in seeds
  }
  _check_drawn(source, config, chosen, roles)
  return StudyPlan(
    config,
    source,
    chosen,
    known,
    roles,
    load_networks(config),
    region_metrics,
    flag_file,
  )


def _opened(config: StudyConfig) -> Source:
  source = open_source(
    config.reference,
    root=config.reference_root,
    image_column=config.image_column,
    limit=config.limit,
    seed=config.seed,
  )
  if not isinstance(source, Source):
    raise UsageError(
      f'{config.reference} holds features: a study perturbs images'
    )
  return greyscale(source, config)


def _check_drawn(source, config, chosen, roles: dict[int, Roles]) -> None:
  """Draws the composed sets once, so that what cannot be drawn fails now."""
  for condition in chosen:
    if changes_images(condition):
      continue
    for seed, parts in roles.items():
      try:
        composed(source, config, condition, parts, seed)
      except UsageError as error:
        family, level = condition
        raise UsageError(f'{family} {level:g}: {error}') from error


def _split_metrics(
  names: tuple[str, ...],
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
  """Metrics of whole images, and of regions; None for all that there are."""
  names = tuple(name.strip() for name in names)
  if ALL in names or not names:
    return names, None
  whole = tuple(name for name in names if not name.startswith('roi_'))
  of_regions = [name for name in names if name.startswith('roi_')]
  for name in of_regions:
    if name not in REGION_METRICS:
      raise UsageError(
        f'unknown metric {name!r}; of regions there are '
        f'{", ".join(REGION_METRICS)}'
      )
  if not whole:
    raise UsageError(
      f'`metrics={",".join(names)!r}`: metrics of regions go with one of whole '
      'images'
    )
  return whole, tuple(dict.fromkeys(of_regions))


def _regions(
  source: Source, roles: dict[int, Roles], wanted: tuple[str, ...] | None
) -> tuple[tuple[str, ...], np.ndarray]:
  """Metrics of regions to compute, and the extent of each image's region."""
  extents = np.zeros(len(source), int)
  if wanted == ():
    return (), extents
  if source.read_mask is None:
    if wanted:
      raise UsageError(f'{wanted[0]} needs masks, {source.name} has none')
    return (), extents
  extents = np.array(
    [regions.extent(source.read_mask(i)) for i in range(len(source))]
  )
  there = extents > 0
  fewest = min(there[part].sum() for each in roles.values() for part in each)
  if fewest < _FEWEST_REGIONS:
    if wanted:
      raise UsageError(
        f'{wanted[0]} needs {_FEWEST_REGIONS} regions in each set, one has '
        f'{fewest}'
      )
    logging.warning('a set has %d regions, too few to score', fewest)
    return (), extents
  return wanted or REGION_METRICS, extents


def _reads_features(defined: dict[str, Metric]) -> bool:
  return any(metric.reads == FEATURES for metric in defined.values())


def _score_all(scorer: Scorer, chosen, seeds) -> ConditionScores:
  steps = [(each, seed) for seed in seeds for each in (None, *chosen)]
  with progress(steps, desc=f'study of {scorer.name}', unit='condition') as bar:
    return {step: scorer.score(*step) for step in bar}
