"""The sets of a run, and their features under each network asked for."""

from collections.abc import Callable, Iterator
import dataclasses
from pathlib import Path

import numpy as np

from genmed_jax import metrics, networks
from genmed_jax.data import decode
from genmed_jax.data.features import Features
from genmed_jax.data.source import Source, StoredFeatures
from genmed_jax.data.sources import open_source
from genmed_jax.downstream import scoring
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine import processes
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.config import RunConfig
from genmed_jax.extraction.extractor import Extractor
from genmed_jax.networks import FeatureNetwork
from genmed_jax.report import results

# What the features are called when the sources bring their own.
GIVEN = 'given'
# What all images together are called, beside the groups.
OVERALL = 'overall'

AnySource = Source | StoredFeatures


@dataclasses.dataclass(frozen=True)
class Sets:
  """The opened sources of a run."""

  reference: AnySource
  generated: list[AnySource]
  train: AnySource | None
  test: AnySource | None

  def all(self) -> list[AnySource]:
    """Every set."""
    given = [each for each in (self.train, self.test) if each]
    return [self.reference, *self.generated, *given]

  def groups(self, generated: str, column: str | None) -> list[str]:
    """Values of ``column`` in the reference or this generated set."""
    if column is None:
      return []
    chosen = next(s for s in self.generated if s.name == generated)
    values = (s.labels[column] for s in (self.reference, chosen))
    return sorted(set(np.concatenate(list(values)).tolist()))


@dataclasses.dataclass(frozen=True)
class FeatureSpace:
  """All sets under one network.

  Attributes:
    name: Of the features, in the results.
    metrics: ``(name here, key in metrics.METRICS)`` of those defined on it.
    provenance: Of the network.
    notes: Metric to what its rows must say.
    reference: Real features.
    generated: Of each generated set.
    train: Of the training images, where they were given.
    test: Of the held-out images, where they were given.
  """

  name: str
  metrics: list[tuple[str, str]]
  provenance: dict
  notes: dict[str, str]
  reference: Features
  generated: list[Features]
  train: Features | None
  test: Features | None

  @property
  def skipped(self) -> dict:
    """Images of each set that could not be used."""
    return {
      'reference': self.reference.skipped,
      'generated': {s.name: s.skipped for s in self.generated},
      'train': self.train.skipped if self.train else 0,
      'test': self.test.skipped if self.test else 0,
    }


def samples_file(name: str) -> str:
  """The file of a generated set's per-image scores."""
  return f'samples_{results.file_stem(name)}.csv'


def check(config: RunConfig) -> None:
  """Checks what can be checked before any source is opened.

  Raises:
    UsageError: if a metric, network or intensity is unknown.
  """
  metrics.select(config.metrics)
  decode.parse_intensity(config.intensity)
  if not config.features:
    raise UsageError('--features is empty; it takes NETWORK[:TAP]')
  parsed = [
    (name,) if name.startswith(scoring.PREFIX) else networks.parse(name)
    for name in config.features
  ]
  if repeated := next((p for p in parsed if parsed.count(p) > 1), None):
    raise UsageError(f'--features names {":".join(repeated)} twice')
  if (config.segmenter is None) != (config.dice_predictor is None):
    raise UsageError('--segmenter and --dice_predictor go together')
  asked = config.metrics.split(',')
  if 'predicted_dice' in asked and config.segmenter is None:
    raise UsageError('predicted_dice needs --segmenter and --dice_predictor')


def open_sets(config) -> Sets:
  """Opens the sources of an ``evaluation.Config`` and holds them together.

  Raises:
    UsageError: if a source cannot be used, or not beside the others.
  """

  def opened(text: str, root: str | None, limit: int | None) -> AnySource:
    return open_source(
      text,
      root=root,
      image_column=config.image_column,
      limit=limit,
      seed=config.seed,
    )

  sets = Sets(
    opened(config.reference, config.reference_root, config.limit),
    [
      opened(text, config.generated_root, config.limit)
      for text in config.generated
    ],
    # Whole: a copy of a training image left out would pass for authentic.
    *(
      None if text is None else opened(text, config.reference_root, None)
      for text in (config.train, config.test)
    ),
  )
  files = [samples_file(generated.name) for generated in sets.generated]
  for name, file in zip((s.name for s in sets.generated), files, strict=True):
    if files.count(file) > 1:
      raise UsageError(
        f'two generated sets are called {name!r}, or nearly so: tell them '
        'apart with --generated=NAME=SOURCE'
      )
  if column := config.group_by:
    for source in (sets.reference, *sets.generated):
      if column not in source.labels:
        raise UsageError(
          f'--group_by={column}: {source.name} has no such column; it has '
          f'{", ".join(source.labels) or "none"}'
        )
      if OVERALL in source.labels[column]:
        raise UsageError(
          f'--group_by={column}: {source.name} has a group called {OVERALL}, '
          'which is what all images together are called'
        )
  given = [isinstance(source, StoredFeatures) for source in sets.all()]
  if any(given) and not all(given):
    name = {flag: s.name for flag, s in zip(given, sets.all(), strict=True)}
    raise UsageError(
      f'{name[True]} holds features and {name[False]} images: all sources '
      'must hold the one or the other'
    )
  return sets


def feature_spaces(config, sets: Sets) -> Iterator[FeatureSpace]:
  """The feature spaces of a run, each extracted when it is reached.

  Networks and their weights are loaded at once, before any image is read.

  Raises:
    UsageError: if a metric is not defined on the features of a network.
    FileNotFoundError: if weights are missing.
  """
  if isinstance(sets.reference, StoredFeatures):
    if config.segmenter:
      raise UsageError(
        f'--segmenter needs images; {sets.reference.name} holds features'
      )
    beside = set.intersection(*(set(s.beside) for s in sets.generated))
    beside -= {'spatial'} - set(sets.reference.beside)
    chosen = _defined_on(GIVEN, config, beside, official=False)
    return iter([_space(GIVEN, chosen, {}, {}, sets, _stored)])
  return _extracted(config, sets, load_networks(config))


def load_networks(config: RunConfig) -> list[tuple[FeatureNetwork, list]]:
  """The networks of a run, each with ``FeatureSpace.metrics`` of its own.

  Raises:
    UsageError: if a metric is not defined on the features of a network.
    FileNotFoundError: if weights are missing.
  """
  loaded = []
  beside = set()
  if config.metrics != 'all':
    names = metrics.select(config.metrics)
    beside = {metrics.METRICS[name].reads for name in names if name != 'fid'}
  for name in config.features:
    if name.startswith(scoring.PREFIX):
      network = _segmenter(config, name.removeprefix(scoring.PREFIX))
    else:
      network = networks.load(
        name,
        cache_dir=Path(config.cache_dir),
        beside=beside - {None},
        resize=config.resize,
        dtype=config.dtype,
      )
    official = network.official and config.intensity == 'dtype'
    chosen = _defined_on(name, config, network.taps, official)
    loaded.append((network, chosen))
  wanted = 'predicted_dice' in metrics.select(config.metrics)
  given = any('predicted_dice' in network.taps for network, _ in loaded)
  if config.segmenter and wanted and not given:
    network = _segmenter(config, config.segmenter)
    loaded.append((network, [('predicted_dice', 'predicted_dice')]))
  return loaded


def _segmenter(config: RunConfig, folder: str) -> FeatureNetwork:
  """A segmenter, with the Dice predictor if it is the one that has one."""
  has_predictor = folder == config.segmenter
  return scoring.load(
    folder,
    config.dice_predictor if has_predictor else None,
    intensity=config.intensity,
  )


def extractor(
  config: RunConfig, network: FeatureNetwork, *, intensity: str, on_error: str
) -> Callable[[Source], Features]:
  """What runs images through a network as ``config`` says.

  On every process together: none goes on from what failed on another.
  """
  extract = Extractor(
    network,
    cache_dir=Path(config.cache_dir),
    intensity=intensity,
    batch_size=config.batch_size,
    on_error=on_error,
  )
  return processes.together()(extract)


def _extracted(config, sets: Sets, loaded) -> Iterator[FeatureSpace]:
  for network, chosen in loaded:
    extract = extractor(
      config, network, intensity=config.intensity, on_error=config.on_error
    )
    yield _space(
      network.name,
      chosen,
      network.provenance,
      network.notes,
      sets,
      extract,
    )


def _space(
  name, chosen, provenance, notes, sets: Sets, extract
) -> FeatureSpace:
  return FeatureSpace(
    name,
    chosen,
    provenance,
    notes,
    extract(sets.reference),
    [extract(source) for source in sets.generated],
    extract(sets.train) if sets.train else None,
    extract(sets.test) if sets.test else None,
  )


def _stored(source: StoredFeatures) -> Features:
  share = mesh_lib.local_share(len(source))
  source = source.take(np.arange(share.start, share.stop))
  return Features(
    source.name,
    source.features,
    source.beside,
    source.numbers,
    list(source.ids),
    source.labels,
  )


def _defined_on(
  features: str, config, beside, official: bool
) -> list[tuple[str, str]]:
  """The metrics to compute on these features, under their names here.

  The Fréchet distance is called ``fid`` where the FID is defined and nowhere
  else.
  """
  chosen = []
  for name in metrics.select(config.metrics):
    if name == 'fid' and not official:
      raise UsageError(
        'fid is defined on inception_v3 with its published weights, not on '
        f'{features}; ask for fd'
      )
    key = 'fd' if name == 'fid' else name
    reads = metrics.METRICS[key].reads
    if reads and reads not in beside:
      if config.metrics == 'all' or reads == 'predicted_dice':
        continue
      raise UsageError(f'{name} needs {reads}, which {features} lacks')
    chosen.append(('fid' if key == 'fd' and official else key, key))
  return list(dict.fromkeys(chosen))
