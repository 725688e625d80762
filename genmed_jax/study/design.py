"""The design of a study: its options, sets by subject, and conditions."""

import dataclasses
import difflib
from typing import NamedTuple

from absl import logging
import numpy as np

from genmed_jax.data.source import Source
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.config import SCORES, ScoringConfig
from genmed_jax.options import option
from genmed_jax.perturb import FAMILIES, Family
from genmed_jax.perturb.base import ActsOn, Needs

STUDY = 'Perturbations'

ALL = 'all'


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig(ScoringConfig):
  """Options of a sensitivity study."""

  families: tuple[str, ...] = option(
    (ALL,),
    help=f'Families of perturbations: all, or of {", ".join(FAMILIES)}. By '
    'default all that the images allow.',
    group=STUDY,
  )
  levels: tuple[str, ...] = option(
    (),
    help='FAMILY:LEVEL,LEVEL in place of the usual levels; may be repeated.',
    group=STUDY,
    repeated=True,
  )
  seeds: int = option(
    3,
    help='Splits of the real images, each with random draws of its own.',
    group=STUDY,
    at_least=1,
    at_most=1000,
  )
  images: int | None = option(
    None,
    help='Images in each set. By default a sixth of the real images.',
    group=STUDY,
    at_least=2,
  )
  subject_column: str | None = option(
    None,
    help='Column of the subject of an image: no subject is in two sets.',
    group=STUDY,
  )
  subject_pattern: str | None = option(
    None,
    help='Regular expression that finds the subject in a file name: its first '
    'group, or the whole match.',
    group=STUDY,
  )
  class_column: str = option(
    'class', help='Column of the classes that collapse.', group=STUDY
  )
  scanner_column: str = option(
    'scanner', help='Column of the scanners whose share shifts.', group=STUDY
  )
  region_size: int | None = option(
    None,
    help='Side in pixels of the crop about a region of interest. By default '
    'one that holds three regions in four.',
    group=SCORES,
    at_least=8,
  )

  def column(self, needs: Needs) -> str | None:
    """The column of labels that an operator on a set needs."""
    columns = {
      Needs.CLASS: self.class_column,
      Needs.SCANNER: self.scanner_column,
    }
    return columns.get(needs)


# Name of the condition without a perturbation.
BASELINE = 'baseline'


class Condition(NamedTuple):
  """A family at a level."""

  family: str
  level: float

  def __str__(self):
    """Its name in results, beside :data:`BASELINE`."""
    return f'{self.family} {self.level:g}'


class Roles(NamedTuple):
  """Items of the sets of a study; no subject is in two of them.

  Attributes:
    base: Those that are perturbed and scored, a part of ``pool``.
    reference: Real images it is scored against.
    train: Stand for a generator's training images.
    test: Held-out real images.
    pool: Those that sets of another composition are drawn from.
  """

  base: np.ndarray
  reference: np.ndarray
  train: np.ndarray
  test: np.ndarray
  pool: np.ndarray


def split(subjects: np.ndarray, images: int | None, seed: int) -> Roles:
  """Splits subjects over the roles and draws as many images for each.

  Args:
    subjects: From ``data.subjects.find_subjects``.
    images: In each set but the pool; a sixth of all if None.
    seed: Of the split.

  Raises:
    UsageError: if the subjects do not make four sets of that size.
  """
  images = images or len(subjects) // 6
  random = np.random.default_rng([seed, 2])
  names, numbers = np.unique(subjects, return_inverse=True)
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
      f'{len(subjects)} images of {len(names)} subjects do not make four sets '
      f'of {images} or more: lower `images`'
    )
  drawn = [
    np.sort(random.choice(part, images, replace=False))
    for part in (pool, *parts)
  ]
  return Roles(*drawn, pool)


def conditions(source: Source, config: StudyConfig) -> list[Condition]:
  """The conditions that the flags name and the source allows.

  Raises:
    UsageError: if a family or level is unknown, or a family that was named
      needs what the source lacks.
  """
  if not config.families:
    raise UsageError(f'`families` is empty; it takes {ALL}, or names')
  named = config.families != (ALL,)
  levels = _levels(config)
  chosen = []
  for name in config.families if named else FAMILIES:
    if name not in FAMILIES:
      near = difflib.get_close_matches(name, FAMILIES, 1, 0.0)[0]
      raise UsageError(
        f'`families`: unknown family {name!r}; did you mean {near!r}? Known: '
        f'{ALL}, {", ".join(FAMILIES)}'
      )
    lacking = _lacking(source, config, FAMILIES[name])
    if lacking and named:
      raise UsageError(f'`families`: {name} needs {lacking}')
    if lacking:
      logging.warning('%s is left out: it needs %s', name, lacking)
      continue
    chosen += [
      Condition(name, level)
      for level in levels.get(name, FAMILIES[name].levels)
    ]
  return list(dict.fromkeys(chosen))


def _lacking(source: Source, config: StudyConfig, family: Family) -> str | None:
  """Needs of a family that the source lacks, in words; None if none."""
  if family.acts_on is ActsOn.REGION and source.read_mask is None:
    return f'masks, which {source.name} has none of'
  if (column := config.column(family.needs)) is None:
    return None
  if column not in source.labels:
    return f'a column {column} (`{family.needs}_column`)'
  kinds = len(np.unique(source.labels[column]))
  if family.needs is Needs.CLASS and kinds < 3:
    return f'three classes or more in {column}, which has {kinds}'
  if family.needs is Needs.SCANNER and kinds != 2:
    return f'two scanners in {column}, which has {kinds}'
  return None


def _levels(config: StudyConfig) -> dict[str, tuple[float, ...]]:
  """Family to the levels that ``levels`` names."""
  found = {}
  for text in config.levels:
    name, _, numbers = text.partition(':')
    if name not in FAMILIES:
      raise UsageError(
        f'`levels={text!r}`: accepted are FAMILY:LEVEL,LEVEL with a family of '
        f'{", ".join(FAMILIES)}'
      )
    family = FAMILIES[name]
    try:
      values = tuple(float(number) for number in numbers.split(','))
    except ValueError:
      values = ()
    if not values or not all(map(family.accepts, values)):
      raise UsageError(
        f'`levels={text!r}`: accepted are FAMILY:LEVEL,LEVEL; {name} has '
        f'{family.accepted}'
      )
    found[name] = values
  return found
