"""How a benchmark times things and what it writes down."""

from collections.abc import Callable
import json
from pathlib import Path
import statistics
import subprocess
import sys
import time

import jax
import jax.numpy as jnp

from genmed_jax import results


def alternate(
  contenders: dict[str, Callable[[], object]], repeats: int
) -> dict[str, list[float]]:
  """Seconds of each contender, run in turn so that drift hits all alike.

  Each is called once to warm up, which is not counted. A contender must not
  return before its work is done.
  """
  for run in contenders.values():
    run()
  seconds = {name: [] for name in contenders}
  for _ in range(repeats):
    for name, run in contenders.items():
      start = time.perf_counter()
      run()
      seconds[name].append(time.perf_counter() - start)
  return seconds


def summary(seconds: list[float]) -> dict[str, float]:
  """Median and quartiles."""
  low, middle, high = statistics.quantiles(seconds, n=4)
  return {'median_s': middle, 'lower_s': low, 'upper_s': high}


def matmul_rate(dtype, size: int = 2048) -> float:
  """FLOP/s of a large square product: what a kernel is held against."""
  with jax.enable_x64(True):
    a = jnp.ones((size, size), dtype)
    product = jax.jit(
      lambda a: jnp.matmul(a, a, precision=jax.lax.Precision.HIGHEST)
    )
    seconds = alternate({'': lambda: product(a).block_until_ready()}, 9)['']
  return 2 * size**3 / statistics.median(seconds)


def write(path: str | None, record: dict) -> None:
  """Prints a record and appends it to ``path`` as a JSON line."""
  line = json.dumps(results.environment() | {'commit': commit()} | record)
  sys.stdout.write(line + '\n')
  sys.stdout.flush()
  if path:
    with open(path, 'a') as file:
      file.write(line + '\n')


def commit() -> str:
  """The checked-out commit, with a mark if files differ from it."""
  described = subprocess.run(
    ['git', 'describe', '--always', '--dirty', '--abbrev=12'],
    cwd=Path(__file__).parent,
    capture_output=True,
    text=True,
    check=False,
  )
  return described.stdout.strip() or 'unknown'
