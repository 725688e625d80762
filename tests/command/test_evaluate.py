import csv
import dataclasses
import json

import numpy as np
import pytest

from genmed_jax.command import entry
from genmed_jax.metrics import METRICS
from tests.command.test_entry import command_of, parsed, run


@pytest.fixture
def sources(tmp_path, random):
  found = []
  for name, values in zip(
    'ab', random.standard_normal((2, 40, 6)), strict=True
  ):
    np.savez(tmp_path / f'{name}.npz', features=np.float32(values))
    found.append(str(tmp_path / f'{name}.npz'))
  return found


def test_the_table_shows_sets_side_by_side(tmp_path, sources, capsys):
  real, fake = sources
  entry.run(
    command_of('evaluate'),
    [real, f'a={fake}', f'b={real}', '--metrics=fd,authpct', '--bootstrap=50']
    + [f'--cache_dir={tmp_path}', f'--output_dir={tmp_path / "out"}'],
  )
  table = capsys.readouterr().out
  header = table.splitlines()[0].split()
  assert header == 'features group metric better a b floor'.split()
  assert '40 near copies of training images: authpct of b' in table


def test_run_flags_repeat_the_run(tmp_path, sources):
  real, fake = sources
  out = tmp_path / 'out'
  arguments = [real, f'a={fake}', f'b={real}', '--metrics=fd,kid', '--limit=20']
  arguments += [f'--cache_dir={tmp_path}', f'--output_dir={out}']
  entry.run(command_of('evaluate'), [*arguments, '--bootstrap=0'])
  first = (out / 'results.csv').read_text()
  flag_file = f'--flagfile={out / "run.flags"}'
  assert parsed('evaluate', flag_file) == parsed(
    'evaluate', *arguments, '--bootstrap=0'
  )
  entry.run(command_of('evaluate'), [flag_file])
  assert (out / 'results.csv').read_text() == first
  with open(out / 'results.csv', newline='') as file:
    assert [line['generated'] for line in csv.DictReader(file)] == list('aabb')


def test_a_corrupt_file_ends_the_run_with_its_name(
  tmp_path, image_folder, random
):
  images = random.integers(0, 255, (6, 16, 16)).astype(np.uint8)
  root = image_folder('set', images)
  (root / '002.png').write_bytes(b'\x89PNG broken')
  process = run(
    f'--reference={root}',
    f'--generated=again={root}',
    '--features=inception_v3_random:64',
    f'--cache_dir={tmp_path / "cache"}',
    f'--output_dir={tmp_path / "out"}',
  )
  assert process.returncode == 1
  assert 'set: 002.png cannot be used' in process.stderr.splitlines()[-1]
  assert 'Traceback' not in process.stderr
  assert not list((tmp_path / 'out').glob('*'))


def test_nothing_is_written_before_everything_is_checked(tmp_path, sources):
  with pytest.raises(SystemExit):
    entry.run(
      command_of('evaluate'),
      [*sources, '--metrics=fid', f'--output_dir={tmp_path / "out"}'],
    )
  assert not (tmp_path / 'out').exists()


def test_no_metric_that_is_defined_is_a_failure(tmp_path, sources, capsys):
  with pytest.raises(SystemExit) as ended:
    entry.run(
      command_of('evaluate'),
      [*sources, '--metrics=precision,recall', '--limit=4']
      + [f'--cache_dir={tmp_path}', f'--output_dir={tmp_path / "out"}'],
    )
  assert ended.value.code == 1
  printed = capsys.readouterr()
  assert 'no metric is defined: needs at least 6 real images' in printed.err
  assert not list((tmp_path / 'out').iterdir())


def test_a_bug_in_a_metric_costs_that_metric_alone(
  tmp_path, sources, capsys, monkeypatch
):
  def measure(comparison):
    return 1 / 0

  broken = dataclasses.replace(METRICS['kid'], measure=measure)
  monkeypatch.setitem(METRICS, 'kid', broken)
  out = tmp_path / 'out'
  with pytest.raises(SystemExit) as ended:
    entry.run(
      command_of('evaluate'),
      [*sources, '--metrics=fd,kid', '--bootstrap=0']
      + [f'--cache_dir={tmp_path}', f'--output_dir={out}'],
    )
  assert ended.value.code == 1
  error = capsys.readouterr().err.splitlines()[-1]
  assert error.startswith('evaluate: value of kid, b, failed: ZeroDiv')
  with open(out / 'results.csv', newline='') as file:
    values = {line['metric']: line['value'] for line in csv.DictReader(file)}
  assert float(values['fd']) > 0
  assert values['kid'] == ''
  report = json.loads((out / 'results.json').read_text())
  assert [row['value'] for row in report['results']][1] is None
