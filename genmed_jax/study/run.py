"""A study from its source to its files."""

import dataclasses
from pathlib import Path

from absl import logging
import jax
import numpy as np
from PIL import Image
import tqdm

from genmed_jax import metrics
from genmed_jax.data import regions
from genmed_jax.data.source import Source
from genmed_jax.data.sources import open_source
from genmed_jax.data.subjects import subjects
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.spaces import check, load_networks
from genmed_jax.report import results
from genmed_jax.study import page
from genmed_jax.study.clock import Clock
from genmed_jax.study.design import (
  BASELINE,
  conditions,
  Config,
  Roles,
  split,
)
from genmed_jax.study.effects import Found, Scores
from genmed_jax.study.perturbed import (
  changes_images,
  composed,
  greyscale,
  perturbed,
)
from genmed_jax.study.scoring import REGION_METRICS, Scorer
from genmed_jax.study.verdicts import Effect

# Fewer regions in a set make no distribution.
_FEWEST_REGIONS = 10


def study(config: Config) -> list[Effect]:
  """Scores every condition with every metric and writes what was found.

  Everything the user gave is checked before the first image is read.

  Args:
    config: What to do.

  Returns:
    An effect per network, family and metric, on every process; process 0
    writes.

  Raises:
    UsageError: if something in ``config`` cannot be used.
    OSError: if something cannot be read or written.
    DecodeError: if an image cannot be used.
  """
  if config.bootstrap < 2:
    raise UsageError(
      f'--bootstrap={config.bootstrap}: verdicts need standard errors, so two '
      'replicates or more'
    )
  flag_file = results.flag_file(config, repeated=('levels',))
  whole, region_metrics = _split_metrics(config.metrics)
  config = dataclasses.replace(config, metrics=whole)
  check(config)
  source = _opened(config)
  chosen = conditions(source, config)
  whose = subjects(source, config.subject_column, config.subject_pattern)
  seeds = range(config.seed, config.seed + config.seeds)
  roles = {seed: split(whose, config.images, seed) for seed in seeds}
  loaded = load_networks(config)
  output_dir = Path(config.output_dir)
  results.check_writable(output_dir)

  clock = Clock()
  region_metrics, extents = _regions(source, roles, region_metrics)
  if region_metrics and config.region_size is None:
    config = dataclasses.replace(
      config, region_size=regions.usual_size(extents[extents > 0])
    )
  _check_drawn(source, config, chosen, roles)
  rows, effects, scored = [], [], {}
  for network, defined in loaded:
    scorer = Scorer(
      config,
      source,
      extents > 0,
      network,
      defined,
      _of_network(defined, region_metrics),
      roles,
      clock,
    )
    scores = _score_all(scorer, chosen, seeds)
    found = Found(scorer.name, scorer.directions, scores)
    effects += found.effects
    rows += found.rows()
    scored |= found.scored()
  if jax.process_index() == 0:
    provenance = results.environment() | {
      'flags': dataclasses.asdict(config),
      'features': {network.name: network.provenance for network, _ in loaded},
      'subjects': len(np.unique(whose)),
      'images': {
        role: len(items) for role, items in roles[config.seed]._asdict().items()
      },
      'seconds': dict(clock.seconds),
    }
    files = page.files(source.name, rows, effects, scored, provenance)
    files['run.flags'] = flag_file
    results.write(output_dir, files)
    if config.write_images:
      folder = output_dir / 'images'
      _write_images(folder, source, config, roles, chosen, clock)
  return effects


def _opened(config: Config) -> Source:
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


def _split_metrics(text: str) -> tuple[str, tuple[str, ...] | None]:
  """Metrics of whole images, and of regions; None for all that there are."""
  if text == 'all':
    return text, None
  names = [name.strip() for name in text.split(',')]
  whole = [name for name in names if not name.startswith('roi_')]
  of_regions = [name for name in names if name.startswith('roi_')]
  for name in of_regions:
    if name not in REGION_METRICS:
      raise UsageError(
        f'unknown metric {name!r}; of regions there are '
        f'{", ".join(REGION_METRICS)}'
      )
  if not whole:
    raise UsageError(
      f'--metrics={text}: metrics of regions stand beside one of whole images'
    )
  return ','.join(whole), tuple(dict.fromkeys(of_regions))


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


def _of_network(defined, region_metrics: tuple[str, ...]) -> tuple[str, ...]:
  """The metrics of regions on a network's features, if features are scored."""
  only = all(metrics.METRICS[key].reads for _, key in defined)
  return () if only else region_metrics


def _score_all(scorer: Scorer, chosen, seeds) -> Scores:
  steps = [(each, seed) for seed in seeds for each in (None, *chosen)]
  with tqdm.tqdm(
    steps,
    desc=f'study of {scorer.name}',
    unit='condition',
    disable=jax.process_index() != 0,
  ) as progress:
    return {step: scorer.score(*step) for step in progress}


def _write_images(folder, source, config, roles, chosen, clock) -> None:
  """Writes every set as 8-bit PNGs, a folder per condition and seed."""
  for seed, parts in roles.items():
    sets = {f'{BASELINE}_{seed}': source.take(parts.base)}
    for condition in chosen:
      name = f'{results.file_stem(str(condition))}_{seed}'
      if changes_images(condition):
        sets[name] = perturbed(source, parts.base, condition, seed, clock)
      else:
        items = composed(source, config, condition, parts, seed)
        sets[name] = source.take(items)
    for name, images in sets.items():
      (folder / name).mkdir(parents=True, exist_ok=True)
      for i in range(len(images)):
        pixels = np.round(255 * images.read(i)[:, :, 0]).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name / f'{i:05d}.png')
