"""Coverage of each metric's 95 % interval: the share that holds its true mean.

python -m benchmarks.coverage --output=benchmarks/results/coverage.jsonl

The mean is that over fresh pairs of sets of the same law and the same sizes.
Every pair is a line of the file in ``--draws``, so that a run goes on where it
was stopped, and several may share the work by ``--laws``.
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

LAWS = [f'{shape}, {kind}' for shape in SHAPES for kind in ('equal', 'other')]

_COUNTS = flags.DEFINE_list('counts', ['200', '50', '1000'], 'Images in a set.')
_LAWS = flags.DEFINE_list(
  'laws', [str(i) for i in range(len(LAWS))], 'Numbers of the laws.'
)
_MEANS = flags.DEFINE_integer('means', 2000, 'Pairs behind the true mean.')
_REPEATS = flags.DEFINE_list(
  'repeats', ['500', '200', '200'], 'Pairs whose intervals are looked at.'
)
_DRAWS = flags.DEFINE_string(
  'draws', 'coverage_draws.jsonl', 'File that each pair is appended to.'
)
_OUTPUT = flags.DEFINE_string('output', None, 'JSON lines are appended here.')


def main(_):
  """Draws what is missing of what the flags ask for, then counts."""
  warnings.simplefilter('ignore')
  draws = Path(_DRAWS.value)
  draws.touch()
  for count, repeats in zip(_COUNTS.value, _REPEATS.value, strict=True):
    for law in (LAWS[int(i)] for i in _LAWS.value):
      _draw(draws, law, int(count), 'interval', int(repeats))
      _draw(draws, law, int(count), 'mean', _MEANS.value)
      measure.write(_OUTPUT.value, _counted(draws, law, int(count)))


def _draw(path: Path, law: str, count: int, kind: str, size: int) -> None:
  """Appends the pairs of a kind that are not there yet."""
  done = {line['seed'] for line in _lines(path, law, count, kind)}
  missing = [seed for seed in range(size) if seed not in done]
  with open(path, 'a') as file:
    for seed in progress(missing, desc=f'{law} {count} {kind}', unit='pair'):
      scores = {
        name: [score.value, *(score.interval or ())][:4]
        for name, score in _scores(law, count, kind, seed).items()
      }
      line = {'law': law, 'n': count, 'kind': kind, 'seed': seed}
      file.write(json.dumps(line | {'scores': scores}) + '\n')
      file.flush()


def _scores(
  law: str, count: int, kind: str, seed: int
) -> dict[str, metrics.Score]:
  shape, which = law.split(', ')
  random = np.random.default_rng([LAWS.index(law), count, kind == 'mean', seed])
  x, y = (np.float32(SHAPES[shape](random, count)) for _ in range(2))
  if which == 'other':
    y = np.float32(0.8) * y + np.float32(0.3)
  mesh = mesh_lib.data_mesh()
  comparison = metrics.Comparison(
    *(LocalFeatures(mesh, each) for each in (x, y)),
    bootstrap=1 if kind == 'interval' else 0,
    seed=seed,
  )
  return {
    name: metrics.score(metric, comparison)
    for name, metric in metrics.METRICS.items()
    if metric.reads == FEATURES
  }


def _lines(path: Path, law: str, count: int, kind: str) -> list[dict]:
  with open(path) as file:
    lines = map(json.loads, file)
    key = {'law': law, 'n': count, 'kind': kind}
    return [line for line in lines if key.items() <= line.items()]


def _counted(path: Path, law: str, count: int) -> dict:
  """Shares of intervals that hold the mean, and that lie below or above it."""
  values = collections.defaultdict(list)
  for line in _lines(path, law, count, 'mean'):
    for name, (value, *_) in line['scores'].items():
      values[name].append(value)
  found = collections.defaultdict(list)
  for line in _lines(path, law, count, 'interval'):
    for name, score in line['scores'].items():
      found[name].append(score)
  record = {'benchmark': 'coverage', 'law': law, 'n': count, 'd': WIDTH}
  return record | {
    'metrics': {name: _coverage(values[name], found[name]) for name in found}
  }


def _coverage(values: list, scores: list[list]) -> dict[str, float | int]:
  values = [value for value in values if value is not None]
  scores = np.array([score for score in scores if len(score) == 4], float)
  if not len(scores) or not values:
    return {'intervals': 0}
  mean = float(np.mean(values))
  value, error, low, high = scores.T
  return {
    'intervals': len(scores),
    'mean': mean,
    'held': float(np.mean((low <= mean) & (mean <= high))),
    'too_high': float(np.mean(low > mean)),
    'too_low': float(np.mean(high < mean)),
    'error_to_spread': float(np.mean(error) / max(np.std(value), 1e-300)),
  }


if __name__ == '__main__':
  app.run(main)
