"""The sets of images, or of features, that a run compares."""

from collections.abc import Iterator
import dataclasses
import os
from typing import Any

import numpy as np

from genmed_jax.data.features import Features
from genmed_jax.data.formats import open_source
from genmed_jax.data.source import Source
from genmed_jax.data.subjects import find_subjects
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.config import EvaluationConfig
from genmed_jax.report.results import OVERALL, samples_file

ImageSet = Source | Features

_LONGEST_NAME = 240  # Bytes; a file being written has a few more.


@dataclasses.dataclass(frozen=True)
class Sets:
  """The opened sets of a run."""

  reference: ImageSet
  generated: list[ImageSet]
  train: ImageSet | None
  test: ImageSet | None

  def __iter__(self) -> Iterator[ImageSet]:
    """All of them."""
    yield self.reference
    yield from self.generated
    yield from (s for s in (self.train, self.test) if s is not None)

  @property
  def hold_features(self) -> bool:
    """Whether they hold features rather than images."""
    return isinstance(self.reference, Features)

  def groups(self, generated: ImageSet, column: str | None) -> list[str]:
    """Values of ``column`` in the reference or a generated set."""
    if column is None:
      return []
    values = (each.labels[column] for each in (self.reference, generated))
    return sorted(set(np.concatenate(list(values)).tolist()))


def open_sets(config: EvaluationConfig) -> Sets:
  """Opens the sets of a run and holds them together.

  Raises:
    UsageError: if a set cannot be used, or not with the others.
  """

  def opened(given: Any, name: str, root: str | None, limit: int | None):
    return open_source(
      given,
      name=None if isinstance(given, str) else name,
      root=root,
      image_column=config.image_column,
      limit=limit,
      seed=config.seed,
    )

  root = config.reference_root
  sets = Sets(
    opened(config.reference, 'reference', root, config.limit),
    open_generated(config),
    # Whole: a copy of a training image left out would pass for authentic.
    *(
      None if given is None else opened(given, name, root, None)
      for name, given in (('train', config.train), ('test', config.test))
    ),
  )
  check_group_column(config.group_by, sets.reference, *sets.generated)
  for each in (sets.reference, sets.train, sets.test):
    if each is not None:
      find_subjects(each, config.subject_column, config.subject_pattern)
  given = {isinstance(each, Features): each.name for each in sets}
  if len(given) > 1:
    raise UsageError(
      f'{given[True]} holds features and {given[False]} images: all sources '
      'must hold the one or the other'
    )
  return sets


def open_generated(config: EvaluationConfig) -> list[ImageSet]:
  """Opens the generated sets of a run.

  Raises:
    UsageError: if one cannot be used, or two have one name.
  """
  sets = []
  for given in config.generated:
    name = None
    if isinstance(given, tuple):
      name, given = given
    sets.append(
      open_source(
        given,
        name=name,
        root=config.generated_root,
        image_column=config.image_column,
        limit=config.limit,
        seed=config.seed,
      )
    )
  files = [samples_file(each.name) for each in sets]
  for each, file in zip(sets, files, strict=True):
    if len(os.fsencode(file)) > _LONGEST_NAME:
      raise UsageError(
        f'the name of a generated set is too long for a file: {each.name!r}'
      )
    if files.count(file) > 1:
      raise UsageError(
        f'two generated sets are called {each.name!r}, or nearly so: tell '
        'them apart with NAME=SOURCE'
      )
  return sets


def check_group_column(column: str | None, *sets: ImageSet) -> None:
  """Raises UsageError unless all sets have the column, if one is named."""
  if column is None:
    return
  for each in sets:
    if column not in each.labels:
      raise UsageError(
        f'`group_by={column!r}`: {each.name} has no such column; it has '
        f'{", ".join(each.labels) or "none"}'
      )
    if OVERALL in each.labels[column]:
      raise UsageError(
        f'`group_by={column!r}`: {each.name} has a group called {OVERALL}, '
        'which is the name of all images together'
      )


def check_widths(reference: Features, *others: Features) -> None:
  """Raises UsageError unless all sets are as wide as the reference.

  That goes for features, and for what has to be compared beside them.
  """
  for what in ('feature', 'spatial'):
    expected = _width(reference, what)
    for other in others:
      width = _width(other, what)
      if None not in (expected, width) and width != expected:
        raise UsageError(
          f'{what} widths differ: {reference.name} has {expected}, '
          f'{other.name} {width}'
        )


def _width(features: Features, what: str) -> int | None:
  if what == 'feature':
    return features.values.shape[1]
  output = features.outputs.get(what)
  return None if output is None else output.shape[1]
