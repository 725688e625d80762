"""The layout of the package: what each room may know, and how large it is."""

import ast
import functools
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'genmed_jax'

# Room -> the rooms that it may import.
MAY_KNOW = {
  'errors': '',
  'options': 'errors',
  'engine': 'errors',
  'statistics': '',
  'data': 'engine errors',
  'networks': 'engine errors',
  'perturb': 'engine errors',
  'metrics': 'engine errors statistics',
  'report': 'statistics',
  'extraction': 'data engine errors networks',
  'training': 'data engine errors networks options report',
  'downstream': 'data engine errors networks perturb report statistics '
  'training',
  'generators': 'data engine errors networks perturb report training',
  'evaluation': 'data downstream engine errors extraction metrics networks '
  'options report',
  'study': 'data engine errors evaluation metrics networks options perturb '
  'report statistics',
  'command': 'data downstream engine errors evaluation generators networks '
  'options report study training',
}
COMMANDS = {'evaluate', 'sensitivity', 'train', 'sample', 'convert'}
MODULES = sorted(PACKAGE.rglob('*.py'))


def name_of(path):
  parts = path.relative_to(PACKAGE).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


@functools.cache
def imports():
  """Module -> the modules of the package that it imports."""
  known = {name_of(path) for path in MODULES}
  found = {}
  for path in MODULES:
    mine = found[name_of(path)] = set()
    tree = ast.parse(path.read_text())
    if not name_of(path):  # Which imports its parts when they are used.
      continue
    for node in ast.walk(tree):
      if isinstance(node, ast.ImportFrom):
        base = (node.module or '').split('.')
        if base[0] == 'genmed_jax':
          for alias in node.names:
            full = '.'.join([*base[1:], alias.name])
            mine.add(full if full in known else '.'.join(base[1:]))
    mine -= {name_of(path), ''}
  return found


def test_rooms_know_only_what_lies_below_them():
  for module, others in imports().items():
    room = module.split('.')[0]
    if room in COMMANDS or not room:
      assert others <= {'command.main'}, module
      continue
    allowed = {room, *MAY_KNOW[room].split()}
    assert {other.split('.')[0] for other in others} <= allowed, module


def test_no_module_imports_itself_by_way_of_others():
  tuple(graphlib.TopologicalSorter(imports()).static_order())


def test_the_top_of_the_package_holds_commands_and_rooms():
  top = {path.stem for path in PACKAGE.iterdir() if path.stem[0] != '_'}
  assert top - {'phantom'} == {*MAY_KNOW, *COMMANDS}


@pytest.mark.parametrize('path', MODULES, ids=name_of)
def test_modules_are_short(path):
  assert path.read_text().count('\n') <= 300


def test_metrics_are_a_small_part():
  lines = {path: path.read_text().count('\n') for path in MODULES}
  of_metrics = sum(n for p, n in lines.items() if p.parent.name == 'metrics')
  assert of_metrics < sum(lines.values()) / 3


def test_classes_have_names_of_their_own():
  seen = {}
  for path in MODULES:
    for node in ast.parse(path.read_text()).body:
      if isinstance(node, ast.ClassDef):
        first = seen.setdefault(node.name, path)
        assert first is path or node.name[0] == '_', (node.name, path, first)
