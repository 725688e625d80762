import dataclasses
import importlib
import os
from pathlib import Path
import re
import subprocess
import sys

from absl import flags
import numpy as np
import pytest

import genmed_jax
from genmed_jax import options
from genmed_jax.command import entry
from genmed_jax.command.flags import config_of
from genmed_jax.command.main import COMMANDS
from genmed_jax.command.train import TASKS
from genmed_jax.errors import UsageError
from genmed_jax.training import config as training


def command_of(name):
  return importlib.import_module(f'genmed_jax.command.{name}').COMMAND


def parsed(name, *arguments):
  """The config that a command makes of its arguments."""
  command = command_of(name)
  values = entry._flag_values(command)
  entry._give(command, values, values([name, *arguments])[1:])
  return config_of(command.config, values)


def run(*arguments, module='evaluate', **environment):
  return subprocess.run(
    [sys.executable, '-m', f'genmed_jax.{module}', *arguments],
    capture_output=True,
    text=True,
    check=False,
    env=os.environ | environment,
  )


@pytest.mark.parametrize(
  ('arguments', 'reference', 'generated'),
  [
    (['a', 'b'], 'a', ('b',)),
    (['a', 'b', 'c=d'], 'a', ('b', 'c=d')),
    (['--reference=a', 'b', 'c'], 'a', ('b', 'c')),
    (['--reference=a', '--generated=b', '--generated=c'], 'a', ('b', 'c')),
    (['a', '--generated=b', 'c'], 'a', ('b', 'c')),
    (['a', '--seed=3', 'b'], 'a', ('b',)),
  ],
)
def test_positional_sets(arguments, reference, generated):
  config = parsed('evaluate', *arguments)
  assert (config.reference, config.generated) == (reference, generated)


def test_flags_have_the_types_of_options():
  config = parsed(
    'evaluate',
    'a',
    'b',
    '--features=x,y:1',
    '--metrics=fd, kid',
    '--batch_size=3',
    '--write_ids',
  )
  assert config.features == ('x', 'y:1')
  assert config.metrics == ('fd', 'kid')
  assert (config.batch_size, config.write_ids, config.seed) == (3, True, 2020)


@pytest.mark.parametrize('name', COMMANDS)
def test_help_lists_every_flag_in_whole_sentences(name, capsys):
  command = command_of(name)
  entry.run(command, ['--help'])
  text = capsys.readouterr().out
  assert text.startswith(command.about[:30])
  assert f'Usage: genmed {name} ' in text
  assert f'Example: genmed {name} ' in text
  for kind in command.configs:
    for option, declared in options.options(kind).items():
      assert re.search(rf'^  --(\[no\])?{option}\b', text, re.MULTILINE)
      assert declared.help[0].isupper() or not declared.help[0].isalpha()
      assert declared.help.endswith('.')
  assert 'logtostderr' not in text
  entry.run(command, ['--helpfull'])
  assert 'logtostderr' in capsys.readouterr().out


@pytest.mark.parametrize(
  ('message', 'expected'),
  [
    (
      "`intensity='x'`: accepted are dtype",
      '--intensity=x: accepted are dtype',
    ),
    ('lower `limit`, or `nothing`', 'lower --limit, or `nothing`'),
    ('`bootstrap=1`: no spread', '--bootstrap=1: no spread'),
    ('a `python -m x` command', 'a `python -m x` command'),
  ],
)
def test_messages_speak_of_flags(message, expected):
  values = entry._flag_values(command_of('evaluate'))
  assert entry.as_flags(message, values) == expected


@pytest.mark.parametrize(
  ('arguments', 'status', 'message'),
  [
    ((), 2, '--reference must be given'),
    (('real',), 2, '--generated must be given'),
    (('a=b', 'c'), 2, 'stands where the reference is expected'),
    (('--refrence=a', '--generated=b'), 2, "Unknown command line flag 'refr"),
    (('a', 'b', '--seed=-1'), 2, 'seed'),
    (('a', 'b', '--on_error=stop'), 2, 'fail|skip'),
    (('a', 'b', '--intensity=foo'), 2, '--intensity=foo: accepted are dtype'),
    (('--reference=/nowhere', '--generated=b'), 2, 'no such file or folder'),
    (('a', 'b', '--num_processes=2'), 2, '--num_processes and --process_id'),
    (
      (
        '--reference=phantom:brain?n=4&size=32',
        '--generated=phantom:brain?n=4&size=32&seed=1',
        '--cache_dir=/nowhere',
      ),
      1,
      'inception_v3 has no converted weights',
    ),
  ],
)
def test_a_users_mistake_is_one_line_and_a_status(
  capsys, arguments, status, message
):
  with pytest.raises(SystemExit) as ended:
    entry.run(command_of('evaluate'), arguments)
  printed = capsys.readouterr()
  assert ended.value.code == status
  assert message in printed.err
  assert printed.err.startswith('evaluate: ')
  assert len(printed.err.strip().splitlines()) == 1
  assert not printed.out


def test_a_bug_is_not_a_users_mistake(monkeypatch):
  def main(config):
    raise KeyError('bug')

  command = dataclasses.replace(command_of('evaluate'), main=main)
  with pytest.raises(KeyError, match='bug'):
    entry.run(command, ['a', 'b'])


def test_arguments_that_stand_for_nothing(capsys):
  with pytest.raises(SystemExit):
    entry.run(command_of('convert'), ['--network=x', 'y'])
  assert "unexpected argument 'y'" in capsys.readouterr().err


def test_a_process_starts_ends_and_says_one_line():
  process = run('--reference=a', '--generated=b', 'c', '--foo=1')
  assert process.returncode == 2
  assert process.stderr.startswith("evaluate: Unknown command line flag 'foo'")
  assert len(process.stderr.strip().splitlines()) == 1
  assert not process.stdout
  process = run('--version')
  assert process.stdout == f'genmed_jax {genmed_jax.__version__}\n'


def test_tasks_of_the_config_are_those_of_the_command():
  assert tuple(TASKS) == training.TASKS


@pytest.mark.parametrize(
  'path',
  sorted((Path(__file__).parents[2] / 'configs').glob('*.flags')),
  ids=lambda path: path.stem,
)
def test_configs_are_flags_of_the_command_in_their_head(path, monkeypatch):
  monkeypatch.chdir(path.parents[1])
  head = path.read_text().splitlines()[0]
  assert head.endswith(f'--flagfile=configs/{path.name}')
  (name,) = re.findall(r'-m genmed_jax\.(\w+)', head)
  config = parsed(name, f'--flagfile=configs/{path.name}')
  assert config.output_dir.startswith('genmed_jax_')


def test_the_library_works_after_every_command_in_one_process(capsys, random):
  before = set(flags.FLAGS)
  for name in COMMANDS:
    with pytest.raises(SystemExit):
      entry.run(command_of(name), ['--no_such_flag'])
  real, fake = random.standard_normal((2, 20, 4))
  evaluation = genmed_jax.score(real, fake, metrics='fd', bootstrap=0)
  assert np.isfinite(evaluation.rows[0].value)
  assert set(flags.FLAGS) == before
  with pytest.raises(UsageError, match='`seed=-1`'):
    genmed_jax.score(real, fake, seed=-1)


def test_importing_defines_no_flag_and_starts_no_device():
  script = """
import sys, time
import jax
start = time.perf_counter()
import genmed_jax
genmed_jax.score, genmed_jax.Evaluator, genmed_jax.Evaluation
from genmed_jax import data, metrics, networks, perturb
seconds = time.perf_counter() - start
from absl import flags
from jax._src import xla_bridge
ours = [m for m in flags.FLAGS.flags_by_module_dict() if 'genmed_jax' in m]
late = [m for m in ('matplotlib', 'orbax', 'scipy.stats') if m in sys.modules]
print(ours, xla_bridge.backends_are_initialized(), late)
"""
  process = subprocess.run(
    [sys.executable, '-c', script], capture_output=True, text=True, check=True
  )
  assert process.stdout.split('\n')[0] == '[] False []'
