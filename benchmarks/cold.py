"""Seconds from a fresh process to its first table, and what they go to.

python -m benchmarks.cold --output=benchmarks/results/cold_cpu.jsonl

Each scenario is a command as a user gives it, in a process of its own: cold
with an empty folder of compiled programs, warm with what the first run kept.
Times are medians; ``computing`` is what imports and programs leave.
"""

import contextlib
import io
import json
from pathlib import Path
import statistics
import subprocess
import sys
import tempfile
import time

from absl import app, flags
import numpy as np

_SCENARIOS = flags.DEFINE_list('scenarios', [], 'Which; all if empty.')
_REPEATS = flags.DEFINE_integer('repeats', 5, 'Fresh processes of each.')
_OUTPUT = flags.DEFINE_string('output', None, 'JSON lines are appended here.')

_SEVEN = 'fd,kid,precision,recall,density,coverage,vendi'
_GROUPS = 14
_COUNT = 1000

# Arguments after the sources: width of the features (0 for the quickstart's
# images), flags.
SCENARIOS = {
  'all_768': (768, ['--metrics=all']),
  'all_2048': (2048, ['--metrics=all']),
  'seven_768': (768, [f'--metrics={_SEVEN}']),
  'seven_768_groups': (768, [f'--metrics={_SEVEN}', '--group_by=group']),
  'quickstart': (0, ['--flagfile=configs/quickstart.flags']),
}


def main(_):
  """Runs the scenarios, or the one that a fresh process is given."""
  from benchmarks import measure

  with tempfile.TemporaryDirectory() as folder:
    for name in _SCENARIOS.value or SCENARIOS:
      width, options = SCENARIOS[name]
      arguments = _sources(Path(folder), width) + options
      for state in ('cold', 'warm'):
        runs = []
        for i in range(_REPEATS.value):
          cache = Path(folder) / name / (str(i) if state == 'cold' else 'warm')
          if state == 'warm' and i == 0:
            _fresh(cache, arguments)  # Fills the cache.
          runs.append(_fresh(cache, arguments))
        measure.write(
          _OUTPUT.value,
          {'benchmark': 'cold', 'scenario': name, 'state': state}
          | ({'n': _COUNT, 'd': width} if width else {})
          | {'runs': len(runs)}
          | {
            key: statistics.median(run[key] for run in runs) for key in runs[0]
          },
        )


def _sources(folder: Path, width: int) -> list[str]:
  """Files of real and generated features, with groups."""
  from benchmarks.inputs import features

  if not width:
    return []
  files = []
  for name, seed, shift in (('real', 1, 0.0), ('generated', 2, 0.1)):
    files.append(folder / f'{name}_{width}.npz')
    np.savez(
      files[-1],
      features=features(_COUNT, width, seed, shift),
      group=np.char.add('g', (np.arange(_COUNT) % _GROUPS).astype(str)),
    )
  return [*map(str, files)]


def _fresh(cache: Path, arguments: list[str]) -> dict[str, float]:
  """The times of the command in a process of its own."""
  cache.mkdir(parents=True, exist_ok=True)
  arguments = [
    *arguments,
    f'--cache_dir={cache}',
    f'--output_dir={cache}/results',
  ]
  ran = subprocess.run(
    [
      sys.executable,
      '-c',
      f'from benchmarks import cold; cold.run({arguments})',
    ],
    capture_output=True,
    text=True,
    check=True,
    cwd=Path(__file__).parent.parent,
  )
  return json.loads(ran.stdout)


def run(arguments: list[str]) -> None:
  """Runs the command here, and prints its times as JSON."""
  start = time.perf_counter()
  from benchmarks import programs
  from genmed_jax.command import entry, evaluate

  imported = time.perf_counter()
  with programs.counted() as found, contextlib.redirect_stdout(io.StringIO()):
    entry.run(evaluate.COMMAND, arguments)
  end = time.perf_counter()
  times = {
    'programs': len(found.names),
    'total_s': end - start,
    'import_s': imported - start,
    'programs_s': found.seconds(),
    'tracing_s': found.seconds('tracing'),
    'lowering_s': found.seconds('lowering'),
    'compiling_s': found.seconds('compiling'),
  }
  left = times['total_s'] - times['import_s'] - times['programs_s']
  sys.stdout.write(json.dumps(times | {'computing_s': left}))


if __name__ == '__main__':
  app.run(main)
