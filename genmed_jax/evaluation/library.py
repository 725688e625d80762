"""Evaluations in Python: :func:`score` and :class:`Evaluator`."""

from collections.abc import Callable, Mapping
import dataclasses
import inspect
import itertools
import os
import re
from typing import Any

import numpy as np

from genmed_jax import options
from genmed_jax.data.features import Features
from genmed_jax.data.formats import open_source
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.config import EvaluationConfig
from genmed_jax.evaluation.run import (
  evaluation_of,
  ids_of,
  prepare,
  RealImages,
)
from genmed_jax.evaluation.sets import (
  check_group_column,
  check_widths,
  ImageSet,
)
from genmed_jax.report.evaluation import Evaluation


def _with_options(function: Callable) -> Callable:
  """Shows the options of an evaluation in a function's signature and help."""
  signature = inspect.signature(function)
  shown = [
    p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD
  ]
  shown += [
    inspect.Parameter(
      field.name,
      inspect.Parameter.KEYWORD_ONLY,
      default=field.default,
      annotation=field.type,
    )
    for field in dataclasses.fields(EvaluationConfig)
    if field.name not in (*signature.parameters, 'generated')
  ]
  function.__signature__ = signature.replace(parameters=shown)
  lines = (
    f'  {name}: {declared.help}'
    for name, declared in options.options(EvaluationConfig).items()
    if name not in (*signature.parameters, 'generated')
  )
  documented = inspect.cleandoc(function.__doc__ or '')
  function.__doc__ = '\n'.join([documented, '', 'Options:', *lines])
  return function


@_with_options
def score(
  reference: Any, generated: Any, train: Any = None, test: Any = None, **given
) -> Evaluation:
  """Scores generated images against real ones.

  A set is an array of images ``[n, h, w]`` or ``[n, h, w, c]`` (unsigned
  integers over their range, or floats in [0, 1]), an array of features
  ``[n, d]``, which skips the network, or a text that the commands take: a
  folder, a manifest, a file of arrays, ``phantom:NAME?key=value``. Nothing is
  written, and features are kept on disk only if ``cache_dir`` is given. In a
  run of several processes all of them call this, with the same sets.

  Args:
    reference: Real images.
    generated: Synthetic images; or several sets, as a dict of name to set or a
      list of texts.
    train: Images that the generator was trained on, for memorisation; the
      reference if None.
    test: Real images that it was not trained on; a seeded half of the
      training images if None.
    **given: The options below. Lists may be sequences or text with commas;
      None stands for the default.

  Returns:
    :class:`Evaluation`, whose ``rows`` have the columns of ``results.csv``.

  Raises:
    UsageError: if a set or an option cannot be used (a ValueError).
    DecodeError: if an image cannot be used and errors are not skipped.
    FileNotFoundError: if weights are missing.

  Example:
    >>> random = np.random.default_rng(0)
    >>> real, fake = random.standard_normal((2, 100, 8))
    >>> evaluation = score(real, {'shifted': fake + 1}, metrics='fd,coverage')
    >>> [row.metric for row in evaluation.rows]
    ['fd', 'coverage']
  """
  if isinstance(generated, Mapping):
    generated = tuple(itertools.starmap(_named, generated.items()))
  elif isinstance(generated, list | tuple):
    generated = tuple(_named(None, each) for each in generated)
  else:
    generated = (_named(None, generated),)
  if not generated:
    raise UsageError('`generated` is empty: there is nothing to score')
  config = _config(given, reference, generated, train, test)
  return prepare(config).run()


class Evaluator:
  """Scores one generated set after another against the same real images.

  For a training loop: the features and statistics of the real images are
  computed once, and a set as large as an earlier one compiles nothing anew,
  but for a small program where more near ties than before are settled, or
  where the cells of ``ct`` come out larger. Call it with images, or collect
  them batch by batch with :meth:`update`.

  Example:
    >>> random = np.random.default_rng(0)
    >>> real, fake = random.standard_normal((2, 100, 8))
    >>> evaluator = Evaluator(real, metrics='fd')
    >>> evaluator(fake).rows[0].metric
    'fd'
    >>> for batch in np.split(fake, 4):
    ...   evaluator.update(batch)
    >>> evaluator.compute().rows == evaluator(fake).rows
    True
  """

  @_with_options
  def __init__(
    self, reference: Any, train: Any = None, test: Any = None, **given
  ):
    """Extracts the real images.

    Args:
      reference: Real images, as of :func:`score`.
      train: Images that the generator was trained on.
      test: Real images that it was not trained on.
      **given: The options of :func:`score`.

    Raises:
      UsageError: if a set or an option cannot be used (a ValueError).
      DecodeError: if an image cannot be used and errors are not skipped.
      FileNotFoundError: if weights are missing.
    """
    real = map(_owned, (reference, train, test))
    self._config = _config(given, next(real), (), *real)
    self._plan = prepare(self._config)
    self._real = [
      RealImages(self._config, self._plan.sets, space)
      for space in self._plan.spaces
    ]
    self.reset()

  def __call__(self, images: Any, *, name: str = 'generated') -> Evaluation:
    """Scores a generated set.

    Args:
      images: As ``generated`` of :func:`score`, one set.
      name: Name of the set in the results.
    """
    source = self._open(images, name)
    groups = self._plan.sets.groups(source, self._config.group_by)
    return self._evaluation(
      [space.extract(source) for space in self._plan.spaces],
      ids_of(source),
      groups,
    )

  def update(self, batch: Any) -> None:
    """Extracts further images of the generated set.

    Args:
      batch: As ``generated`` of :func:`score`, one set.

    Raises:
      UsageError: if it cannot be used, or the evaluator has ``group_by`` or
        ``limit``, which need the whole set.
    """
    for option in ('group_by', 'limit'):
      if getattr(self._config, option) is not None:
        raise UsageError(f'`{option}` needs whole sets: call the evaluator')
    source = self._open(_owned(batch), 'generated')
    start = len(self._ids)
    parts = [space.extract(source) for space in self._plan.spaces]
    named = isinstance(batch, str | os.PathLike)
    self._ids += source.ids if named else map(str, start + source.numbers)
    for batches, part in zip(self._parts, parts, strict=True):
      batches.append(dataclasses.replace(part, numbers=part.numbers + start))

  def compute(self) -> Evaluation:
    """Scores all images since the start, or the last :meth:`reset`.

    Raises:
      UsageError: if there are none.
    """
    if not self._ids:
      raise UsageError('nothing to score: call update(images) first')
    features = [_joined(parts) for parts in self._parts]
    return self._evaluation(features, dict(enumerate(self._ids)), [])

  def reset(self) -> None:
    """Forgets the images of :meth:`update`."""
    self._ids: list[str] = []
    self._parts: list[list[Features]] = [[] for _ in self._plan.spaces]

  def _open(self, images: Any, name: str) -> ImageSet:
    config, reference = self._config, self._plan.sets.reference
    source = open_source(
      images,
      name=str(name),
      root=config.generated_root,
      image_column=config.image_column,
      limit=config.limit,
      seed=config.seed,
      at_least=1,
    )
    kinds = {True: 'features', False: 'images'}
    given = [isinstance(each, Features) for each in (source, reference)]
    if given[0] != given[1]:
      raise UsageError(
        f'{name} holds {kinds[given[0]]}, the reference {kinds[given[1]]}'
      )
    if given[0]:
      check_widths(reference, source)
    check_group_column(config.group_by, source)
    return source

  def _evaluation(
    self, features: list[Features], ids: dict[int, str], groups: list[str]
  ) -> Evaluation:
    found = [
      real.score(each, ids, groups)
      for real, each in zip(self._real, features, strict=True)
    ]
    return evaluation_of(self._config, self._plan.spaces, found)


def _owned(given: Any) -> Any:
  """A copy of an array, which its owner may go on to change."""
  if given is None or isinstance(given, str | os.PathLike):
    return given
  return np.array(given)


def _named(name: str | None, given: Any) -> Any:
  """A generated set as ``EvaluationConfig`` has it."""
  if isinstance(given, str | os.PathLike):
    given = os.fspath(given)
    if name is None:
      return given
    if re.fullmatch(r'[^/\\:?=]+', str(name)):
      return f'{name}={given}'
  return (str(name or 'generated'), given)


def _config(given, reference, generated, train, test) -> EvaluationConfig:
  if 'generated' in given:
    raise UsageError('an Evaluator is called with the generated images')
  given = {name: value for name, value in given.items() if value is not None}
  return options.build(
    EvaluationConfig,
    given
    | {
      'reference': reference,
      'generated': generated,
      'train': train,
      'test': test,
    },
  )


def _joined(parts: list[Features]) -> Features:
  """Features of all batches, one after the other."""
  first = parts[0]
  return dataclasses.replace(
    first,
    values=np.concatenate([part.values for part in parts]),
    outputs={
      name: np.concatenate([part.outputs[name] for part in parts])
      for name in first.outputs
      if all(name in part.outputs for part in parts)
    },
    numbers=np.concatenate([part.numbers for part in parts]),
    ids=[name for part in parts for name in part.ids],
    labels={},
    skipped=sum(part.skipped for part in parts),
    moved=max(part.moved for part in parts),
  )
