"""Options of a run, declared once for Python, the command line and files.

A config is a frozen dataclass whose fields are made by :func:`option`: they
carry help, bounds and choices. :func:`build` makes one of keyword arguments;
commands make flags of the same fields; :func:`flag_file` writes it down.
"""

from collections.abc import Iterable, Mapping
import csv
import dataclasses
import difflib
import io
import os
import types
import typing
from typing import Any, NamedTuple, TypeVar

import numpy as np

from genmed_jax.errors import UsageError

T = TypeVar('T')


class Option(NamedTuple):
  """The declaration of a field.

  Attributes:
    help: Whole sentences, with the meaning of the default.
    group: Heading of the option in lists.
    choices: Accepted values; any if empty.
    at_least: Smallest accepted number.
    at_most: Largest accepted number.
    repeated: Whether a flag gives one of several values.
  """

  help: str
  group: str
  choices: tuple[str, ...] = ()
  at_least: float | None = None
  at_most: float | None = None
  repeated: bool = False


def option(default: Any = dataclasses.MISSING, **declared) -> Any:
  """A field of a config, with the attributes of :class:`Option`."""
  metadata = {'option': Option(**declared)}
  return dataclasses.field(default=default, metadata=metadata)


def options(kind: type) -> dict[str, Option]:
  """The options of a config by name."""
  return {f.name: f.metadata['option'] for f in dataclasses.fields(kind)}


def value_type(field: dataclasses.Field) -> type:
  """``str``, ``int``, ``float``, ``bool`` or ``tuple`` (of strings)."""
  kinds = [field.type]
  if isinstance(field.type, types.UnionType):
    kinds = [k for k in typing.get_args(field.type) if k is not types.NoneType]
  return typing.get_origin(kinds[0]) or kinds[0]


def build(kind: type[T], given: Mapping[str, Any]) -> T:
  """A config of keyword arguments.

  A tuple may be given as any sequence, or as text with commas.

  Raises:
    UsageError: if an option is unknown or its value is not accepted.
  """
  fields = {field.name: field for field in dataclasses.fields(kind)}
  values = {}
  for name, value in given.items():
    if name not in fields:
      near = difflib.get_close_matches(name, fields, 1, 0.0)[0]
      raise UsageError(
        f'unknown option {name!r}; did you mean {near!r}? '
        f'Known: {", ".join(fields)}'
      )
    values[name] = _checked(fields[name], value)
  return kind(**values)


def narrowed(config: Any, kind: type[T]) -> T:
  """The options of a config that a base of its class has."""
  names = (field.name for field in dataclasses.fields(kind))
  return kind(**{name: getattr(config, name) for name in names})


def _checked(field: dataclasses.Field, value: Any) -> Any:
  declared, expected = field.metadata['option'], value_type(field)
  if isinstance(value, os.PathLike):
    value = os.fspath(value)
  if value is None or expected is Any:
    return value
  if expected is tuple:
    return _checked_names(field, value)
  if isinstance(value, np.integer):
    value = int(value)
  accepted = (int, float) if expected is float else expected
  is_bool = isinstance(value, bool)
  if not isinstance(value, accepted) or is_bool != (expected is bool):
    article = 'an' if expected is int else 'a'
    _refuse(field, value, f'{article} {expected.__name__}')
  if declared.choices and value not in declared.choices:
    _refuse(field, value, f'one of {", ".join(declared.choices)}')
  # The negations refuse NaN.
  if declared.at_least is not None and not value >= declared.at_least:
    _refuse(field, value, f'{declared.at_least} or more')
  if declared.at_most is not None and not value <= declared.at_most:
    _refuse(field, value, f'{declared.at_most} or less')
  return value


def _checked_names(field: dataclasses.Field, value: Any) -> tuple:
  if isinstance(value, str):
    value = value.split(',') if value else []
  if not isinstance(value, Iterable):
    _refuse(field, value, 'a sequence of names')
  value = tuple(value)
  holds_texts = typing.get_args(field.type)[0] is str
  if holds_texts and not all(isinstance(each, str) for each in value):
    _refuse(field, value, 'a sequence of names')
  return value


def _refuse(field: dataclasses.Field, value: Any, accepted: str):
  raise UsageError(f'`{field.name}={value!r}`: accepted is {accepted}')


def described(config: Any) -> dict[str, Any]:
  """The options of a run for its results: arrays by their shape alone."""
  return {
    field.name: _described(getattr(config, field.name))
    for field in dataclasses.fields(config)
  }


def _described(value: Any) -> Any:
  if isinstance(value, tuple):
    return [_described(each) for each in value]
  if value is None or isinstance(value, str | int | float):
    return value
  if hasattr(value, 'shape') and hasattr(value, 'dtype'):
    return f'array {value.dtype} {list(value.shape)}'
  return f'a {type(value).__name__}'


def flag_file(config: Any) -> str | None:
  """A flag file that repeats a run; None if no flags can."""
  lines = []
  for field in dataclasses.fields(config):
    name, value = field.name, getattr(config, field.name)
    several = isinstance(value, tuple)
    if not all(
      each is None or isinstance(each, str | int | float)
      for each in (value if several else (value,))
    ):
      return None
    if any('\n' in str(each) for each in (value if several else (value,))):
      return None
    if field.metadata['option'].repeated:
      lines += [f'--{name}={each}' for each in value]
    elif several:
      text = io.StringIO()
      csv.writer(text, lineterminator='').writerow(value)
      lines.append(f'--{name}={text.getvalue()}')
    elif value is not None:
      lines.append(f'--{name}={value}')
  return '\n'.join(lines) + '\n'
