"""What a study is made of: its sets, split by subject, and its conditions."""

import dataclasses
import difflib
from typing import NamedTuple

from absl import logging
import numpy as np

from genmed_jax.data.source import Source
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.config import RunConfig
from genmed_jax.perturb import FAMILIES


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
  """What a study does: the flags of ``genmed_jax.sensitivity``."""

  reference: str
  families: tuple[str, ...] = ('all',)
  levels: tuple[str, ...] = ()
  seeds: int = 3
  images: int | None = None
  subject_column: str | None = None
  subject_pattern: str | None = None
  class_column: str = 'class'
  scanner_column: str = 'scanner'
  region_size: int | None = None
  write_images: bool = False


# The condition in which nothing is done.
BASELINE = 'baseline'


class Condition(NamedTuple):
  """A family at a level."""

  family: str
  level: float

  def __str__(self):
    """As it is called beside :data:`BASELINE`."""
    return f'{self.family} {self.level:g}'


class Roles(NamedTuple):
  """Which images play which part; no subject plays two.

  Attributes:
    base: What is perturbed and scored, a part of ``pool``.
    reference: Real images it is scored against.
    train: Stand for a generator's training images.
    test: Held-out real images.
    pool: What sets of another composition are drawn from.
  """

  base: np.ndarray
  reference: np.ndarray
  train: np.ndarray
  test: np.ndarray
  pool: np.ndarray


def split(whose: np.ndarray, images: int | None, seed: int) -> Roles:
  """Deals subjects out to the roles and draws as many images for each.

  Args:
    whose: From ``data.subjects.subjects``.
    images: In each set but the pool; a sixth of all if None.
    seed: Of the deal.

  Raises:
    UsageError: if the subjects do not make four sets of that size.
  """
  images = images or len(whose) // 6
  random = np.random.default_rng([seed, 2])
  names, numbers = np.unique(whose, return_inverse=True)
  order = random.permutation(len(names))
  rank = np.argsort(order)[numbers]  # Of each image's subject.
  sizes = np.bincount(rank)
  start, parts = 0, []
  for _ in range(3):
    enough = np.flatnonzero(np.cumsum(sizes[start:]) >= images)
    stop = start + enough[0] + 1 if len(enough) else len(names)
    parts.append(np.flatnonzero((rank >= start) & (rank < stop)))
    start = stop
  pool = np.flatnonzero(rank >= start)
  if images < 2 or min(len(part) for part in (*parts, pool)) < images:
    raise UsageError(
      f'{len(whose)} images of {len(names)} subjects do not make four sets of '
      f'{images} or more: lower --images'
    )
  drawn = [
    np.sort(random.choice(part, images, replace=False))
    for part in (pool, *parts)
  ]
  return Roles(*drawn, pool)


def conditions(source: Source, config: Config) -> list[Condition]:
  """The conditions that the flags name and the source allows.

  Raises:
    UsageError: if a family or level is unknown, or a family that was named
      needs what the source lacks.
  """
  named = config.families != ('all',)
  levels = _levels(config)
  chosen = []
  for name in config.families if named else FAMILIES:
    if name not in FAMILIES:
      near = difflib.get_close_matches(name, FAMILIES, 1, 0.0)[0]
      raise UsageError(
        f'--families: unknown family {name!r}; did you mean {near!r}? Known: '
        f'all, {", ".join(FAMILIES)}'
      )
    lacking = _lacking(source, config, FAMILIES[name].reads)
    if lacking and named:
      raise UsageError(f'--families: {name} needs {lacking}')
    if lacking:
      logging.warning('%s is left out: it needs %s', name, lacking)
      continue
    chosen += [
      Condition(name, level)
      for level in levels.get(name, FAMILIES[name].levels)
    ]
  return list(dict.fromkeys(chosen))


def _lacking(source: Source, config: Config, reads: str) -> str | None:
  if reads == 'mask' and source.read_mask is None:
    return f'masks, which {source.name} has none of'
  columns = {'class': config.class_column, 'scanner': config.scanner_column}
  column = columns.get(reads)
  if column and column not in source.labels:
    return f'a column {column} (--{reads}_column)'
  kinds = len(np.unique(source.labels[column])) if column else 0
  if reads == 'class' and kinds < 3:
    return f'three classes or more in {column}, which has {kinds}'
  if reads == 'scanner' and kinds != 2:
    return f'two scanners in {column}, which has {kinds}'
  return None


def _levels(config: Config) -> dict[str, tuple[float, ...]]:
  """What ``--levels=FAMILY:LEVEL,LEVEL`` says."""
  found = {}
  for text in config.levels:
    family, _, numbers = text.partition(':')
    try:
      values = tuple(float(number) for number in numbers.split(','))
    except ValueError:
      values = ()
    known = FAMILIES.get(family)
    if not known or not values or not all(map(_allowed(family), values)):
      raise UsageError(
        f'--levels={text}: accepted are FAMILY:LEVEL,LEVEL with a family of '
        f'{", ".join(FAMILIES)}; levels are above 0, shares in percent '
        'below 100, and mode_collapse has 1 and 2'
      )
    found[family] = values
  return found


def _allowed(family: str):
  def allowed(level: float) -> bool:
    if family == 'mode_collapse':
      return level in (1, 2)
    shares = FAMILIES[family].reads in ('train', 'set', 'scanner')
    return 0 < level < (100 if shares else np.inf)

  return allowed
