"""False alarms of the excess: how often fresh real images are called worse.

python -m benchmarks.excess --output=benchmarks/results/excess.jsonl

Both sets are drawn of one law, so that every excess beyond 2 is a false alarm.
Every pair is a line of the file in ``--draws``, so that a run goes on where it
was stopped.
"""

import collections
import json
from pathlib import Path
import warnings

from absl import app, flags
import numpy as np

from benchmarks import measure
from benchmarks.laws import SHAPES, WIDTH
from genmed_jax import metrics
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.progress import progress
from genmed_jax.metrics.base import FEATURES
from genmed_jax.metrics.registry import floor

_SIZES = flags.DEFINE_list(
  'sizes', ['60:60', '200:60', '200:200', '1000:200'], 'Real and generated.'
)
_METRICS = flags.DEFINE_list('metrics', ['all'], 'Names of metrics.')
_PAIRS = flags.DEFINE_integer('pairs', 200, 'Of sets, of each law and size.')
_DRAWS = flags.DEFINE_string(
  'draws', 'excess_draws.jsonl', 'File that each pair is appended to.'
)
_OUTPUT = flags.DEFINE_string('output', None, 'JSON lines are appended here.')


def main(_):
  """Draws what is missing of what the flags ask for, then counts."""
  warnings.simplefilter('ignore')
  draws = Path(_DRAWS.value)
  draws.touch()
  chosen = [
    name
    for name in metrics.select(_METRICS.value)
    if metrics.METRICS[name].reads == FEATURES
  ]
  for sizes in _SIZES.value:
    for law in SHAPES:
      _draw(draws, law, sizes, chosen)
      measure.write(_OUTPUT.value, _counted(draws, law, sizes))


def _draw(path: Path, law: str, sizes: str, chosen: list[str]) -> None:
  """Appends the pairs that are not there yet."""
  done = {line['seed'] for line in _lines(path, law, sizes)}
  missing = [seed for seed in range(_PAIRS.value) if seed not in done]
  n, m = map(int, sizes.split(':'))
  mesh = mesh_lib.data_mesh()
  with open(path, 'a') as file:
    for seed in progress(missing, desc=f'{law} {sizes}', unit='pair'):
      random = np.random.default_rng([[*SHAPES].index(law), n, m, seed])
      sides = (np.float32(SHAPES[law](random, count)) for count in (n, m))
      compared = metrics.Comparison(
        *(LocalFeatures(mesh, side) for side in sides), seed=seed
      )
      excess = {name: floor(name, compared).excess for name in chosen}
      line = {'law': law, 'sizes': sizes, 'seed': seed, 'excess': excess}
      file.write(json.dumps(line) + '\n')
      file.flush()


def _lines(path: Path, law: str, sizes: str) -> list[dict]:
  key = {'law': law, 'sizes': sizes}.items()
  with open(path) as file:
    return [line for line in map(json.loads, file) if key <= line.items()]


def _counted(path: Path, law: str, sizes: str) -> dict:
  """Per metric: pairs, and shares beyond 2 on either side."""
  found = collections.defaultdict(list)
  for line in _lines(path, law, sizes):
    for name, excess in line['excess'].items():
      if excess is not None:
        found[name].append(excess)
  record = {'benchmark': 'excess', 'law': law, 'sizes': sizes, 'd': WIDTH}
  return record | {
    'metrics': {
      name: {
        'pairs': len(values),
        'worse': float(np.mean(np.array(values) > 2)),
        'better': float(np.mean(np.array(values) < -2)),
      }
      for name, values in found.items()
    }
  }


if __name__ == '__main__':
  app.run(main)
