"""Scores the conditions of a study on the features of one network."""

import functools
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from genmed_jax.data import regions, versions
from genmed_jax.data.features import Features
from genmed_jax.data.formats import arrays
from genmed_jax.data.source import Source
from genmed_jax.engine import processes
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.mesh import data_mesh, from_all, local_share
from genmed_jax.engine.rows import gather
from genmed_jax.evaluation.spaces import extractor
from genmed_jax.metrics import (
  Comparison,
  marginal_wasserstein,
  Metric,
  METRICS,
  Score,
)
from genmed_jax.metrics.regions import CROPS, OF_STATISTICS, STATISTICS
from genmed_jax.metrics.registry import attempt, score
from genmed_jax.networks import FeatureNetwork
from genmed_jax.report.files import write_file
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import Interval, interval_of
from genmed_jax.study.clock import Clock
from genmed_jax.study.conditions import Condition, constants
from genmed_jax.study.design import Roles, StudyConfig
from genmed_jax.study.perturbed import changes_images, composed, perturbed

REGION_METRICS = tuple(
  name for name, m in METRICS.items() if m.reads in (CROPS, STATISTICS)
)


class _Sets(NamedTuple):
  """A set as it is compared: whole images and their regions."""

  whole: LocalFeatures
  regions: LocalFeatures | None
  statistics: np.ndarray | None


class Scorer:
  """The study under one network: real features once, conditions one by one."""

  def __init__(
    self,
    config: StudyConfig,
    source: Source,
    with_region: np.ndarray,
    network: FeatureNetwork,
    chosen: dict[str, Metric],
    region_metrics: tuple[str, ...],
    roles: dict[int, Roles],
    clock: Clock,
  ):
    """Extracts the real images.

    Args:
      config: Of the study.
      source: From ``perturbed.greyscale``.
      with_region: ``[n]`` bool, whether an image has a region.
      network: Of the features.
      chosen: Metrics defined on them, by name.
      region_metrics: Those of :data:`REGION_METRICS` to compute.
      roles: By seed.
      clock: Counts the time.
    """
    self.config = config
    self.name = network.name
    self.chosen = chosen
    self.region_metrics = region_metrics
    self._mesh = data_mesh()
    self._network = network
    self._source = source
    self._content = source.digest(range(len(source)))
    self._roles = roles
    self._clock = clock
    self._constants = constants(source, config)
    # Sources of a study are in [0, 1] already; rows stand for items of it, so
    # none may be left out.
    self._extract = extractor(
      config, network, intensity='dtype', on_error='fail'
    )
    with clock.on('extraction'):
      self._whole = self._everywhere(source)
    if region_metrics:
      # Where each image's region is among the regions, for those that have.
      self._region_rows = np.where(with_region, np.cumsum(with_region) - 1, -1)
      self._regions = self._of_regions(source.take(np.flatnonzero(with_region)))
    self._real = functools.cache(self._find_real)

  @property
  def directions(self) -> dict[str, Direction]:
    """Every metric, and the values that are better."""
    of_regions = {name: METRICS[name] for name in self.region_metrics}
    every = self.chosen | of_regions
    return {name: metric.direction for name, metric in every.items()}

  def score(self, condition: Condition | None, seed: int) -> dict[str, Score]:
    """Every metric of the base set under a condition; None for none.

    Scores are kept in the cache folder, if there is one.
    """
    path = self._path(condition, seed)
    if path and processes.agree(path.exists()):
      return _loaded(path)
    generated = self._generated(condition, seed)
    with self._clock.on('statistics'):
      scores = self._compare(generated, seed)
    if path and not any(each.failed for each in scores.values()):
      path.parent.mkdir(parents=True, exist_ok=True)
      write_file(path, json.dumps(scores))
    return scores

  def _generated(self, condition: Condition | None, seed: int) -> _Sets:
    roles = self._roles[seed]
    if condition is None:
      return self._take(roles.base)
    if changes_images(condition):
      return self._altered(condition, roles.base, seed)
    items = composed(self._source, self.config, condition, roles, seed)
    return self._take(items)

  def _altered(self, condition: Condition, items, seed: int) -> _Sets:
    """The images ``items`` under a condition that changes images."""
    altered = perturbed(
      self._source, items, condition, seed, self._clock, self._constants
    )
    with self._clock.on('extraction'):
      whole = self._set(self._everywhere(altered), np.arange(len(items)))
    if not self.region_metrics:
      return _Sets(whole, None, None)
    there = np.flatnonzero(self._region_rows[items] >= 0)
    features, statistics = self._of_regions(altered.take(there))
    rows = np.arange(len(there))
    return _Sets(whole, self._set(features, rows), statistics)

  def _of_regions(self, source: Source) -> tuple[Features | None, np.ndarray]:
    """Features, where they are asked for, and statistics of the regions."""
    with self._clock.on('regions'):
      cut = regions.cut_out(source, self.config.region_size)
      statistics = regions.describe(cut)
    if all(METRICS[m].reads == STATISTICS for m in self.region_metrics):
      return None, statistics
    content = source.digest(range(len(source)))
    described = f'{content} region {self.config.region_size}'
    name = f'regions of {source.name}'
    with self._clock.on('extraction'):
      features = self._everywhere(
        arrays.stack(name, cut.images, lambda i: f'{described} {i}', {})
      )
    return features, statistics

  def _everywhere(self, source: Source) -> Features:
    """The features of all of a source, on every process."""
    share = self._extract(source)
    if jax.process_count() == 1:
      return share
    values, numbers = (
      gather(self._mesh, each) for each in (share.values, share.numbers)
    )
    outputs = {
      name: gather(self._mesh, each) for name, each in share.outputs.items()
    }
    ids = [''] * len(values)
    moved = float(from_all(np.array(share.moved)).max())
    return Features(share.name, values, outputs, numbers, ids, {}, moved=moved)

  def _take(self, items: np.ndarray) -> _Sets:
    """Real images, in any number of copies."""
    whole = self._set(self._whole, items)
    if not self.region_metrics:
      return _Sets(whole, None, None)
    features, statistics = self._regions
    rows = self._region_rows[items]
    rows = rows[rows >= 0]
    return _Sets(whole, self._set(features, rows), statistics[rows])

  def _set(self, features: Features | None, rows: np.ndarray):
    """The feature set of these rows."""
    if features is None:
      return None
    share = local_share(len(rows))
    mine = features.take(rows[share.start : share.stop])
    return LocalFeatures(
      self._mesh, mine.values, mine.outputs, resolution=features.resolution
    )

  def _find_real(self, seed: int) -> dict[str, _Sets]:
    return {
      role: self._take(getattr(self._roles[seed], role))
      for role in ('reference', 'train', 'test')
    }

  def _compare(self, generated: _Sets, seed: int) -> dict[str, Score]:
    real = self._real(seed)
    options = {'bootstrap': self.config.bootstrap, 'seed': seed}
    whole = Comparison(
      real['reference'].whole,
      generated.whole,
      real['train'].whole,
      real['test'].whole,
      **options,
    )
    scores = {name: attempt(score, m, whole) for name, m in self.chosen.items()}
    if not self.region_metrics:
      return scores
    if generated.regions:
      part = Comparison(real['reference'].regions, generated.regions, **options)
    for name in self.region_metrics:
      if name not in OF_STATISTICS:
        scores[name] = attempt(score, METRICS[name], part)
        continue
      columns = OF_STATISTICS[name]
      value, error, _ = marginal_wasserstein(
        real['reference'].statistics[:, columns],
        generated.statistics[:, columns],
        replicates=self.config.bootstrap,
        seed=seed,
      )
      interval = interval_of(value, error, within=(0.0, np.inf))
      scores[name] = Score(value, interval, ())
    return scores

  def _path(self, condition: Condition | None, seed: int) -> Path | None:
    """The file of the scores of a condition."""
    if self.config.cache_dir is None:
      return None
    described = (
      versions.PERTURBATIONS,
      versions.SCORES,
      self._content,
      self._network.identity,
      [role.tobytes() for role in self._roles[seed]],
      condition and (*condition, self._constants[condition.family]),
      seed,
      list(self.chosen),
      self.region_metrics,
      *(self.config.bootstrap, self.config.region_size),
      *(self.config.class_column, self.config.scanner_column),
    )
    digest = hashlib.sha256(repr(described).encode()).hexdigest()
    return Path(self.config.cache_dir) / 'scores' / f'{digest}.json'


def _loaded(path: Path) -> dict[str, Score]:
  return {
    name: Score(value, interval and Interval(*interval), tuple(notes))
    for name, (value, interval, notes, _) in json.loads(
      path.read_text()
    ).items()
  }
