"""False alarms of the excess: how often fresh real images are called worse.

python -m benchmarks.excess --output=benchmarks/results/excess.jsonl

Both sets are drawn of one law, so that every excess beyond 2 is a false alarm.
Every pair is a line of the file in ``--draws``, so that a run goes on where it
was stopped.
"""

import functools
import warnings

from absl import app, flags
import numpy as np

from benchmarks.draws import comparison, draws, write
from benchmarks.laws import SHAPES
from genmed_jax.metrics.registry import floor

_LAWS = flags.DEFINE_list('laws', [*SHAPES], 'Names of laws.')
_SIZES = flags.DEFINE_list(
  'sizes', ['60:60', '200:60', '200:200', '1000:200'], 'Real and generated.'
)
_PAIRS = flags.DEFINE_integer('pairs', 200, 'Of sets, of each law and size.')


def main(_):
  """Draws what is missing of what the flags ask for, then counts."""
  warnings.simplefilter('ignore')
  for sizes in _SIZES.value:
    for law in _LAWS.value:
      key = {'law': law, 'sizes': sizes}
      excess = functools.partial(_excess, law, sizes)
      found = draws(key, _PAIRS.value, excess)
      shares = {name: _shares(values) for name, values in found.items()}
      write('excess', key, shares)


def _excess(law: str, sizes: str, names: list[str], seed: int) -> dict:
  """Excess of each metric between two sets of one law."""
  n, m = map(int, sizes.split(':'))
  random = np.random.default_rng([[*SHAPES].index(law), n, m, seed])
  sides = (SHAPES[law](random, count) for count in (n, m))
  compared = comparison(*sides, seed=seed)
  return {name: floor(name, compared).excess for name in names}


def _shares(found: list[float | None]) -> dict[str, float | int]:
  """Pairs with an excess, and shares of them beyond 2 on either side."""
  values = np.array([each for each in found if each is not None])
  if not len(values):
    return {'pairs': 0}
  return {
    'pairs': len(values),
    'worse': float(np.mean(values > 2)),
    'better': float(np.mean(values < -2)),
  }


if __name__ == '__main__':
  app.run(main)
