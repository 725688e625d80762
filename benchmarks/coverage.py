"""Coverage of each metric's 95 % interval: the share that holds its true mean.

python -m benchmarks.coverage --output=benchmarks/results/coverage.jsonl

The mean is that over fresh pairs of sets of the same law and the same sizes.
Every pair is a line of the file in ``--draws``, so that a run goes on where it
was stopped, and several may share the work by ``--laws``.
"""

import functools
import warnings

from absl import app, flags
import numpy as np

from benchmarks.draws import comparison, draws, write
from benchmarks.laws import SHAPES
from genmed_jax import metrics

LAWS = [f'{shape}/{kind}' for shape in SHAPES for kind in ('equal', 'other')]

_COUNTS = flags.DEFINE_list('counts', ['200', '50', '1000'], 'Images in a set.')
_LAWS = flags.DEFINE_list('laws', LAWS, 'Laws, and whether both sets share it.')
_MEANS = flags.DEFINE_integer('means', 2000, 'Pairs behind the true mean.')
_REPEATS = flags.DEFINE_list(
  'repeats', ['500', '200', '200'], 'Pairs whose intervals are looked at.'
)


def main(_):
  """Draws what is missing of what the flags ask for, then counts."""
  warnings.simplefilter('ignore')
  for count, repeats in zip(
    map(int, _COUNTS.value), map(int, _REPEATS.value), strict=True
  ):
    for law in _LAWS.value:
      key = {'law': law, 'n': count}
      scores, means = (
        draws(
          key | {'kind': kind},
          size,
          functools.partial(_scores, law, count, kind),
        )
        for kind, size in (('interval', repeats), ('mean', _MEANS.value))
      )
      covered = {name: _coverage(means[name], scores[name]) for name in scores}
      write('coverage', key, covered)


def _scores(
  law: str, count: int, kind: str, names: list[str], seed: int
) -> dict[str, list]:
  """Value, and with ``kind`` ``'interval'`` error and bounds, of one pair."""
  shape, which = law.split('/')
  random = np.random.default_rng([LAWS.index(law), count, kind == 'mean', seed])
  x, y = (np.float32(SHAPES[shape](random, count)) for _ in range(2))
  if which == 'other':
    y = np.float32(0.8) * y + np.float32(0.3)
  bootstrap = 1 if kind == 'interval' else 0
  compared = comparison(x, y, bootstrap=bootstrap, seed=seed)
  scores = {name: metrics.score(name, compared) for name in names}
  return {
    name: [score.value, *(score.interval or ())][:4]
    for name, score in scores.items()
  }


def _coverage(means: list[list], scores: list[list]) -> dict[str, float | int]:
  """Shares of intervals that hold the mean, and that lie below or above it."""
  means = [value for value, *_ in means if value is not None]
  scores = np.array([score for score in scores if len(score) == 4], float)
  if not len(scores) or not means:
    return {'intervals': 0}
  mean = float(np.mean(means))
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
