"""Flags made of the options of configs, and the help that lists them."""

import dataclasses
import shutil
import textwrap
from typing import Any

from absl import flags

from genmed_jax import options


def define(kind: type, values: flags.FlagValues) -> None:
  """Defines a flag for every option of a config."""
  for field in dataclasses.fields(kind):
    _define(field, values)


def _define(field: dataclasses.Field, values: flags.FlagValues) -> None:
  declared, expected = field.metadata['option'], options.value_type(field)
  name, text = field.name, declared.help
  default = field.default
  if default is dataclasses.MISSING:
    default = None
  bounds = {
    'lower_bound': declared.at_least,
    'upper_bound': declared.at_most,
    'flag_values': values,
  }
  if declared.repeated:
    default = list(default) if default else None
    flags.DEFINE_multi_string(name, default, text, flag_values=values)
  elif expected is tuple:
    flags.DEFINE_list(name, list(default), text, flag_values=values)
  elif declared.choices:
    flags.DEFINE_enum(name, default, declared.choices, text, flag_values=values)
  elif expected is bool:
    flags.DEFINE_bool(name, default, text, flag_values=values)
  elif expected is int:
    flags.DEFINE_integer(name, default, text, **bounds)
  elif expected is float:
    flags.DEFINE_float(name, default, text, **bounds)
  else:
    flags.DEFINE_string(name, default, text, flag_values=values)


def config_of(kind: type, values: flags.FlagValues) -> Any:
  """The config that parsed flags describe.

  Raises:
    UsageError: if an option without a default was not given.
  """
  given = {
    field.name: values[field.name].value
    for field in dataclasses.fields(kind)
    if values[field.name].value is not None
  }
  return options.build(kind, given)


def help_text(
  about: str, usage: str, kinds: tuple[type, ...], full: str
) -> str:
  """The help of a command: what it does, examples, its flags in groups.

  Args:
    about: First sentence.
    usage: Its form, and an example.
    kinds: Configs of its options.
    full: Further flags, already laid out.
  """
  width = min(shutil.get_terminal_size().columns, 100)
  groups = {}
  for kind in kinds:
    for field in dataclasses.fields(kind):
      group = groups.setdefault(field.metadata['option'].group, [])
      group.append(_described(field, width))
  lines = [textwrap.fill(about, width), '', usage]
  for group, described in groups.items():
    lines += ['', f'{group}:', '', *described]
  return '\n'.join(lines) + '\n' + full


def _described(field: dataclasses.Field, width: int) -> str:
  """A flag with its kind of value, its help and its default."""
  declared, expected = field.metadata['option'], options.value_type(field)
  flag = f'--{field.name}'
  if expected is bool:
    flag = f'--[no]{field.name}'
  elif declared.choices:
    flag += f'={"|".join(declared.choices)}'
  elif expected is tuple and not declared.repeated:
    flag += '=NAME,...'
  elif expected in (int, float):
    flag += '=NUMBER'
  else:
    flag += '=TEXT'
  text = declared.help
  default = field.default
  if default is dataclasses.MISSING:
    text += ' Required.'
  elif default not in (None, (), False) and 'default' not in text:
    shown = ','.join(default) if isinstance(default, tuple) else default
    text += f' Default: {shown}.'
  indent = ' ' * 6
  body = textwrap.fill(
    text, width, initial_indent=indent, subsequent_indent=indent
  )
  return f'  {flag}\n{body}'
