"""Feature spaces: a network, and the metrics that are defined on it."""

from collections.abc import Callable, Mapping
import dataclasses
import functools
from pathlib import Path

from genmed_jax import networks
from genmed_jax.data.features import Features
from genmed_jax.data.intensity import parse_intensity
from genmed_jax.data.source import Source
from genmed_jax.engine.feature_set import PIXELS
from genmed_jax.engine.processes import together
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.config import ScoringConfig
from genmed_jax.evaluation.regions import RegionSets
from genmed_jax.evaluation.sets import check_widths, ImageSet, Sets
from genmed_jax.extraction.cache import CachedExtractor
from genmed_jax.extraction.extractor import Extractor
from genmed_jax.metrics import Metric
from genmed_jax.metrics.base import FEATURES
from genmed_jax.metrics.regions import CROPS, STATISTICS
from genmed_jax.metrics.registry import (
  check_offered,
  defined_on,
  METRICS,
  select,
)
from genmed_jax.networks import FeatureNetwork
from genmed_jax.networks.base import SEGMENTER

# Name of features that the sources bring along.
GIVEN = 'given'

_DICE = 'predicted_dice'
_BOTTLENECK = 'bottleneck'  # Of a segmenter, which sees whole images.
REGIONS = CROPS, STATISTICS


@dataclasses.dataclass(frozen=True)
class FeatureSpace:
  """A network, or features that are given, with its metrics.

  Attributes:
    name: Of the features, in the results.
    metrics: Those defined on the features, by their names there.
    extract: From a set to this process's share of its features.
    provenance: Of the network.
    notes: Metric to a note on its rows.
    whole: Whether of whole images: metrics of regions read no training images.
  """

  name: str
  metrics: dict[str, Metric]
  extract: Callable[[ImageSet], Features]
  provenance: dict
  notes: dict[str, str]
  whole: bool = True


def check(config: ScoringConfig) -> None:
  """Checks what can be checked before any source is opened.

  Raises:
    UsageError: if a metric, network or intensity is unknown.
  """
  names = select(config.metrics)
  parse_intensity(config.intensity)
  if not config.features:
    raise UsageError('`features` is empty; it takes NETWORK[:TAP]')
  parsed = [
    (name,) if name.startswith(SEGMENTER) else networks.parse(name)
    for name in config.features
  ]
  if repeated := next((p for p in parsed if parsed.count(p) > 1), None):
    raise UsageError(f'`features` names {":".join(repeated)} twice')
  if (config.segmenter is None) != (config.dice_predictor is None):
    raise UsageError('`segmenter` and `dice_predictor` go together')
  everything = names == list(METRICS)
  if _DICE in names and not everything and config.segmenter is None:
    raise UsageError(f'{_DICE} needs `segmenter` and `dice_predictor`')


def load_spaces(config: ScoringConfig, sets: Sets) -> list[FeatureSpace]:
  """The feature spaces of a run, with networks loaded and no image read.

  Raises:
    UsageError: if a metric that was named is defined on none of them.
    FileNotFoundError: if weights are missing.
  """
  if sets.hold_features:
    return [_given_space(config, sets)]
  found, note = _regions(config, sets)
  notes = {}
  if note:
    notes = dict.fromkeys((m.name for m in METRICS.values()), note)
  of_regions = defined_on(config.metrics, REGIONS if found else ())
  loaded = load_networks(config, of_regions)
  spaces = []
  for network, defined in loaded:
    through = functools.partial(
      extractor, config, network, on_error=config.on_error
    )
    about = network.provenance, network.notes
    extract = through(intensity=config.intensity)
    if defined:
      spaces.append(FeatureSpace(network.name, defined, extract, *about))
    crops = _reading(CROPS, of_regions)
    if crops and network.tap != _BOTTLENECK:
      of_crops = through(intensity='dtype')
      extract = _after(found.crops, of_crops)
      about = network.provenance, notes
      spaces.append(
        FeatureSpace(network.name, crops, extract, *about, whole=False)
      )
  statistics = _reading(STATISTICS, of_regions)
  if statistics:
    extract = together()(found.statistics)
    spaces.append(
      FeatureSpace('regions', statistics, extract, {}, notes, whole=False)
    )
  return spaces


def _reading(what: str, of_regions: Mapping[str, Metric]) -> dict[str, Metric]:
  """Those that read it, in a space where it is the features."""
  return {
    name: dataclasses.replace(metric, reads=FEATURES)
    for name, metric in of_regions.items()
    if metric.reads == what
  }


def _after(first: Callable, second: Callable) -> Callable:
  return lambda source: second(first(source))


def _regions(
  config: ScoringConfig, sets: Sets
) -> tuple[RegionSets | None, str | None]:
  """Regions by the masks that the images have, else by the segmenter's.

  Those of the segmenter then for all sets, so that they are alike.
  """
  compared = [sets.reference, *sets.generated]
  options = sets, config.intensity, config.region_size
  if all(each.read_mask is not None for each in compared):
    return RegionSets(*options), None
  if config.segmenter is None:
    return None, None
  from genmed_jax.downstream import scoring  # Loads optimisers.

  masks = scoring.masking(config.segmenter, intensity=config.intensity)
  return RegionSets(*options, masks), "the regions are the segmenter's"


def _given_space(config: ScoringConfig, sets: Sets) -> FeatureSpace:
  if config.segmenter:
    raise UsageError(
      f'`segmenter` needs images; {sets.reference.name} holds features'
    )
  check_widths(*sets)
  outputs = [set(each.outputs) for each in sets.generated]
  outputs = set.intersection(*outputs) if outputs else set()
  outputs -= {'spatial'} - set(sets.reference.outputs)
  defined = defined_on(config.metrics, outputs)
  check_offered(config.metrics, {GIVEN: defined})
  return FeatureSpace(GIVEN, defined, Features.share, {}, {})


def load_networks(
  config: ScoringConfig, of_regions: Mapping[str, Metric] | None = None
) -> list[tuple[FeatureNetwork, dict[str, Metric]]]:
  """The networks of a run, each with the metrics defined on it.

  Args:
    config: Of the run.
    of_regions: Metrics of regions that the run has.

  Raises:
    UsageError: if a metric that was named is defined on none of them.
    FileNotFoundError: if weights are missing.
  """
  names = select(config.metrics)
  loaded = []
  beside = set()
  if names != list(METRICS):
    beside = {METRICS[name].reads for name in names if name in METRICS}
  for name in config.features:
    if name.startswith(SEGMENTER):
      network = _segmenter(config, name.removeprefix(SEGMENTER))
    else:
      network = networks.load(
        name,
        cache_dir=config.cache_dir,
        beside=beside,
        resize=config.resize,
        dtype=config.dtype,
      )
    earned = network.earns if config.intensity == 'dtype' else ()
    outputs = *network.taps, PIXELS
    loaded.append((network, defined_on(config.metrics, outputs, earned)))
  given = any(_DICE in network.taps for network, _ in loaded)
  if config.segmenter and _DICE in names and not given:
    network = _segmenter(config, config.segmenter)
    loaded.append((network, {_DICE: METRICS[_DICE]}))
  offered = {network.name: defined for network, defined in loaded}
  if of_regions:
    offered['regions'] = of_regions
  check_offered(config.metrics, offered)
  needed = any(m.reads == CROPS for m in (of_regions or {}).values())
  return [(network, own) for network, own in loaded if own or needed]


def _segmenter(config: ScoringConfig, folder: str) -> FeatureNetwork:
  """A segmenter, with the Dice predictor if it is the one that has one."""
  from genmed_jax.downstream import scoring  # Loads optimisers.

  has_predictor = folder == config.segmenter
  return scoring.load(
    folder,
    config.dice_predictor if has_predictor else None,
    intensity=config.intensity,
  )


def extractor(
  config: ScoringConfig,
  network: FeatureNetwork,
  *,
  intensity: str,
  on_error: str,
) -> Callable[[Source], Features]:
  """Runs images through a network, on all processes or on none.

  Features are kept on disk if the run has a ``cache_dir``.
  """
  extract = Extractor(
    network,
    intensity=intensity,
    batch_size=config.batch_size,
    on_error=on_error,
  )
  if config.cache_dir is not None:
    extract = CachedExtractor(extract, Path(config.cache_dir))
  return together()(extract)
