"""Seeded draws kept in a file, with which a stopped simulation goes on."""

from collections.abc import Callable
import json

import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.progress import progress
from genmed_jax.metrics import Comparison


def draws(
  path: str, key: dict, size: int, draw: Callable[[int], dict]
) -> list[dict]:
  """What ``draw`` makes of seeds 0 to ``size - 1``; the file's are not redrawn.

  Args:
    path: File of JSON lines, of one draw each; more are appended.
    key: What tells these draws from others in the file.
    size: How many.
    draw: Makes one draw of its seed.
  """
  found = {}
  with open(path, 'a+') as file:
    file.seek(0)
    for line in map(json.loads, file):
      if line['key'] == key:
        found[line['seed']] = line['draw']
    missing = [seed for seed in range(size) if seed not in found]
    desc = ' '.join(map(str, key.values()))
    for seed in progress(missing, desc=desc, unit='draw'):
      found[seed] = draw(seed)
      line = {'key': key, 'seed': seed, 'draw': found[seed]}
      file.write(json.dumps(line) + '\n')
      file.flush()
  return [found[seed] for seed in range(size)]


def comparison(
  real: np.ndarray, generated: np.ndarray, **settings
) -> Comparison:
  """The two sets ``[n, d]`` as metrics read them, on every device."""
  mesh = mesh_lib.data_mesh()
  sides = (LocalFeatures(mesh, np.float32(x)) for x in (real, generated))
  return Comparison(*sides, **settings)
