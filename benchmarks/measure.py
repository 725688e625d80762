"""Timings of benchmarks, and the lines they write."""

from collections.abc import Callable, Iterator
import contextlib
import json
import os
from pathlib import Path
import statistics
import subprocess
import sys
import threading
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.report.provenance import environment


class Found(NamedTuple):
  """Seconds of each counted run, the memory of the first, and its value."""

  seconds: list[float]
  peak_bytes: int
  value: object


def alternate(
  contenders: dict[str, Callable[[], object]],
  repeats: int,
  budget_s: float = float('inf'),
) -> dict[str, Found]:
  """Runs the contenders in turn, so that drift hits all alike.

  Each is called once to warm up, which is not counted unless that alone takes
  three times the budget; then all in turn until a contender has had its
  repeats or its budget. A contender must not return before its work is done.
  """
  found = {}
  for name, run in contenders.items():
    with peak_memory() as peak:
      start = time.perf_counter()
      value = run()
      first = time.perf_counter() - start
    seconds = [first] if first > 3 * budget_s else []
    found[name] = Found(seconds, peak[0], np.asarray(value).tolist())
  for _ in range(repeats):
    for name, run in contenders.items():
      seconds = found[name].seconds
      if seconds and sum(seconds) + seconds[-1] > budget_s:
        continue
      start = time.perf_counter()
      run()
      seconds.append(time.perf_counter() - start)
  return found


@contextlib.contextmanager
def peak_memory() -> Iterator[list[int]]:
  """Bytes by which the resident set grew beyond where it started, at most.

  Sampled every 20 ms; of the host, so on CPU it holds the arrays too. Pages an
  earlier run freed and the allocator kept are not seen: compare first runs of
  fresh processes.
  """
  done, peak = threading.Event(), [0]
  start = _resident()

  def watch():
    while not done.wait(0.02):
      peak[0] = max(peak[0], _resident() - start)

  thread = threading.Thread(target=watch)
  thread.start()
  try:
    yield peak
  finally:
    done.set()
    thread.join()


def _resident() -> int:
  pages = int(Path('/proc/self/statm').read_text().split()[1])
  return pages * os.sysconf('SC_PAGE_SIZE')


def summary(seconds: list[float]) -> dict[str, float]:
  """Median and quartiles, and of how many runs."""
  low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75)).tolist()
  runs = len(seconds)
  return {'median_s': middle, 'lower_s': low, 'upper_s': high, 'runs': runs}


def matmul_rate(dtype, size: int = 2048) -> float:
  """FLOP/s of a large square product: what a kernel is held against."""
  with jax.enable_x64(True):
    a = jnp.ones((size, size), dtype)
    product = jax.jit(
      lambda a: jnp.matmul(a, a, precision=jax.lax.Precision.HIGHEST)
    )

    def run():
      product(a).block_until_ready()

    seconds = alternate({'': run}, 9)[''].seconds
  return 2 * size**3 / statistics.median(seconds)


def write(path: str | None, record: dict) -> None:
  """Prints a record and appends it to ``path`` as a JSON line."""
  line = json.dumps(environment() | {'commit': commit()} | record)
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
