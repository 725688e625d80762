import csv
import json
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

import genmed_jax
from genmed_jax.command import entry, evaluate
from genmed_jax.training.checkpoints import load_network
from tests import alone
from tests.command.test_entry import run

METRICS = 'fd,mmd_poly,asw,sw2,vendi,coverage,realism,authpct'


def start(count, *flags, module='evaluate'):
  """Starts the processes of one run of a command."""
  return start_programs(
    count,
    lambda port, process: [
      *alone.arguments(f'genmed_jax.{module}'),
      f'--coordinator=localhost:{port}',
      f'--num_processes={count}',
      f'--process_id={process}',
      *flags,
    ],
  )


def start_programs(count, arguments):
  """Starts each process, which ``arguments`` tells apart."""
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  return [
    subprocess.Popen(
      arguments(port, process),
      env=alone.environment(),
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for process in range(count)
  ]


@pytest.fixture
def sources(tmp_path, random):
  found = []
  for name, n in (('reference', 61), ('generated', 50), ('train', 43)):
    np.savez(
      tmp_path / f'{name}.npz',
      features=np.float32(random.standard_normal((n, 12)) * 1.1),
    )
    found.append(f'--{name}={tmp_path / name}.npz')
  return [*found, f'--cache_dir={tmp_path / "cache"}', f'--metrics={METRICS}']


def values(folder):
  with open(folder / 'results.csv') as file:
    rows = list(csv.DictReader(file))
  return np.array([[float(row['value']), float(row['floor'])] for row in rows])


def test_two_processes_equal_one(tmp_path, sources):
  for process in start(2, *sources, f'--output_dir={tmp_path / "two"}'):
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
  sources.append(f'--output_dir={tmp_path / "one"}')
  entry.run(evaluate.COMMAND, sources)
  np.testing.assert_allclose(
    values(tmp_path / 'two'), values(tmp_path / 'one'), rtol=1e-6, atol=1e-8
  )


def scored(folder):
  """Values of arrays of features and of images, with an evaluator too."""
  random = np.random.default_rng(0)
  features = np.float32(random.standard_normal((2, 41, 12)))
  images = np.uint8(random.integers(0, 255, (2, 13, 16, 16)))
  given = {'bootstrap': 0, 'cache_dir': folder}
  found = genmed_jax.score(
    *features, metrics='fd,coverage,authpct', **given
  ).rows
  evaluator = genmed_jax.Evaluator(
    images[0], features='inception_v3_random:64', metrics='fd,kid', **given
  )
  found += evaluator(images[1]).rows
  return [row.value for row in found]


SCORE = """
import json, sys
from genmed_jax.engine import processes
from genmed_jax.metrics import splits
from tests import alone
from tests.engine.test_processes import scored

port, process, folder = sys.argv[1:]
splits.SPLITS = alone.SPLITS
processes.join(f'localhost:{port}', 2, int(process))
print(json.dumps(scored(folder)))
"""


def test_two_processes_score_arrays_as_one_does(tmp_path):
  here = scored(tmp_path / 'one')
  for process in start_programs(
    2,
    lambda port, i: (
      [sys.executable, '-c', SCORE, str(port), str(i), str(tmp_path / 'two')]
    ),
  ):
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    np.testing.assert_allclose(
      json.loads(output.splitlines()[-1]), here, rtol=1e-5, atol=1e-7
    )


def test_two_processes_train_one_network(tmp_path):
  flags = (
    '--task=segmenter',
    '--train=phantom:brain?n=48&size=32&tumours=1',
    '--image_size=16',
    '--width=4',
    '--depth=2',
    '--epochs=2',
    '--batch_size=8',
    f'--output_dir={tmp_path}',
  )
  for process in start(2, *flags, module='train'):
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
  with open(tmp_path / 'history.csv') as file:
    assert [line['epoch'] for line in csv.DictReader(file)] == ['0', '1']
  weights, _ = load_network(tmp_path / 'network', 'segmenter')
  assert all(np.isfinite(leaf).all() for leaf in weights.params.values())


def test_a_failure_on_one_process_ends_both(tmp_path, image_folder, random):
  images = random.integers(0, 255, (12, 16, 16), dtype=np.uint8)
  folder = image_folder('images', images)
  (folder / '010.png').write_bytes(b'broken')
  processes = start(
    2,
    f'--reference={folder}',
    f'--generated=fake={folder}',
    '--features=inception_v3_random:64',
    f'--cache_dir={tmp_path / "cache"}',
    f'--output_dir={tmp_path / "out"}',
  )
  errors = [process.communicate(timeout=120)[1] for process in processes]
  assert [process.returncode for process in processes] == [1, 1]
  assert '010.png cannot be used' in errors[1]
  assert 'process 1 failed' in errors[0]
  assert not (tmp_path / 'out' / 'results.csv').exists()


def test_a_lost_process_ends_the_other(tmp_path, sources):
  processes = start(2, *sources, f'--output_dir={tmp_path / "out"}')
  time.sleep(8)
  processes[1].send_signal(signal.SIGKILL)
  _, errors = processes[0].communicate(timeout=120)
  processes[1].communicate()
  assert processes[0].returncode != 0, errors
  assert errors


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (['--num_processes=2'], 'need --coordinator'),
    (['--coordinator=x'], '--coordinator=x is no HOST:PORT'),
    (['--coordinator=auto'], '--coordinator finds no other process'),
    (['--coordinator=localhost:1', '--num_processes=2'], 'needs --num_pro'),
    (
      ['--coordinator=localhost:1', '--num_processes=2', '--process_id=2'],
      'a --process_id below it',
    ),
  ],
)
def test_flags_that_do_not_go_together(tmp_path, sources, flags, message):
  process = run(*sources, *flags)
  assert process.returncode == 2
  assert message in process.stderr
  assert 'Traceback' not in process.stderr
