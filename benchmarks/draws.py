"""Simulations of metrics, whose draws a file keeps for a run that goes on."""

from collections.abc import Callable
import json

from absl import flags
import numpy as np

from benchmarks import measure
from benchmarks.laws import WIDTH
from genmed_jax import metrics
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.progress import progress
from genmed_jax.metrics.base import FEATURES

_METRICS = flags.DEFINE_list('metrics', ['all'], 'Names of metrics.')
_DRAWS = flags.DEFINE_string(
  'draws', 'draws.jsonl', 'File that each draw is appended to.'
)
_OUTPUT = flags.DEFINE_string('output', None, 'JSON lines are appended here.')


def _chosen() -> list[str]:
  """The metrics of features among those that the flag names."""
  return [
    name
    for name in metrics.select(_METRICS.value)
    if metrics.METRICS[name].reads == FEATURES
  ]


def draws(
  key: dict, size: int, draw: Callable[[list[str], int], dict]
) -> dict[str, list]:
  """What each chosen metric gives for seeds from 0 on, ``[size]``.

  Seeds that the file has under the key are read and not drawn again.

  Args:
    key: What tells these draws from others in the file.
    size: How many.
    draw: Names of metrics and a seed to what each metric gives.
  """
  names = _chosen()
  key = key | {'metrics': ','.join(names)}
  found = {}
  with open(_DRAWS.value, 'a+') as file:
    file.seek(0)
    for line in map(json.loads, file):
      if line['key'] == key:
        found[line['seed']] = line['draw']
    missing = [seed for seed in range(size) if seed not in found]
    desc = ' '.join(map(str, key.values()))
    for seed in progress(missing, desc=desc, unit='draw'):
      found[seed] = draw(names, seed)
      line = {'key': key, 'seed': seed, 'draw': found[seed]}
      file.write(json.dumps(line) + '\n')
      file.flush()
  return {name: [found[seed][name] for seed in range(size)] for name in names}


def write(benchmark: str, key: dict, found: dict[str, dict]) -> None:
  """Prints what was counted for each metric, and appends it as a JSON line."""
  record = {'benchmark': benchmark, **key, 'd': WIDTH, 'metrics': found}
  measure.write(_OUTPUT.value, record)


def comparison(
  real: np.ndarray, generated: np.ndarray, **settings
) -> metrics.Comparison:
  """The two sets ``[n, d]`` as metrics read them, on every device."""
  mesh = mesh_lib.data_mesh()
  sides = (LocalFeatures(mesh, np.float32(x)) for x in (real, generated))
  return metrics.Comparison(*sides, **settings)
