"""The conditions of a study: families of perturbations at their levels."""

import difflib
from typing import NamedTuple

from absl import logging
import numpy as np

from genmed_jax.data.source import Source
from genmed_jax.errors import UsageError
from genmed_jax.perturb import FAMILIES, Family
from genmed_jax.perturb.base import ActsOn, Needs
from genmed_jax.study.design import ALL, StudyConfig

# Name of the condition without a perturbation.
BASELINE = 'baseline'


class Condition(NamedTuple):
  """A family at a level."""

  family: str
  level: float

  def __str__(self):
    """Its name in results, beside :data:`BASELINE`."""
    return f'{self.family} {self.level:g}'


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
  given = constants(source, config)
  chosen = []
  for name in config.families if named else FAMILIES:
    if name not in FAMILIES:
      near = difflib.get_close_matches(name, FAMILIES, 1, 0.0)[0]
      raise UsageError(
        f'`families`: unknown family {name!r}; did you mean {near!r}? Known: '
        f'{ALL}, {", ".join(FAMILIES)}'
      )
    lacking = _lacking(source, config, FAMILIES[name], given[name])
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


def constants(source: Source, config: StudyConfig) -> dict[str, dict]:
  """Constants of every family: those of the flags, or of a column.

  Raises:
    UsageError: if a family has no such constant, or not of that value.
  """
  found = {name: {} for name in FAMILIES}
  for name, family in FAMILIES.items():
    for constant, accepted in family.choices.items():
      kinds = set(source.labels.get(constant, ()))
      if len(kinds) == 1 and kinds <= {*accepted}:
        found[name][constant] = str(*kinds)
  for text in config.family_option:
    name, _, rest = text.partition(':')
    constant, _, value = rest.partition('=')
    family = FAMILIES.get(name)
    if family is None or constant not in family.constants:
      known = (
        f'{each.name}:{name}'
        for each in FAMILIES.values()
        for name in each.constants
      )
      raise UsageError(
        f'`family_option={text!r}`: accepted are FAMILY:NAME=VALUE with '
        f'FAMILY:NAME of {", ".join(known)}'
      )
    found[name][constant] = _constant(text, value, family.choices.get(constant))
  return found


def _constant(text: str, value: str, accepted: tuple[str, ...] | None):
  """A choice, a number, or several with commas between them."""
  if accepted:
    if value not in accepted:
      raise UsageError(
        f'`family_option={text!r}`: accepted are {", ".join(accepted)}'
      )
    return value
  try:
    numbers = tuple(float(number) for number in value.split(','))
  except ValueError:
    raise UsageError(
      f'`family_option={text!r}`: accepted are numbers, not {value!r}'
    ) from None
  return numbers[0] if len(numbers) == 1 else numbers


def _lacking(
  source: Source, config: StudyConfig, family: Family, given: dict
) -> str | None:
  """Needs of a family that the source lacks, in words; None if none."""
  for constant, accepted in family.choices.items():
    if constant not in given:
      return (
        f'to know the {constant} of the images: '
        f'`family_option={family.name}:{constant}={accepted[0]}`, or '
        f'{", ".join(accepted[1:])}'
      )
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
