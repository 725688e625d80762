"""Runs of several processes: how they join, agree and end."""

from collections.abc import Iterator
import contextlib
import faulthandler
import os
import re
import sys
from typing import NoReturn

import jax
from jax.experimental import multihost_utils
import numpy as np

from genmed_jax.errors import RunError, UsageError

# A process that is lost ends the others after so long.
_HEARTBEAT_S = 30


def join(
  coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
  """Joins the other processes of the run, if there are any.

  Args:
    coordinator: ``HOST:PORT`` of process 0; ``auto`` where SLURM, a TPU pod or
      GKE says where it is; None for a run of one process.
    num_processes: Number of processes, with ``HOST:PORT``.
    process_id: This one, from 0, with ``HOST:PORT``.

  Raises:
    UsageError: if they do not go together.
  """
  given = num_processes, process_id
  if coordinator is None:
    if given != (None, None):
      raise UsageError('`num_processes` and `process_id` need `coordinator`')
    return
  if coordinator == 'auto':
    coordinator = None
  elif not re.fullmatch(r'.+:\d+', coordinator):
    raise UsageError(f'`coordinator={coordinator!r}` is no HOST:PORT')
  elif None in given or process_id >= num_processes:
    raise UsageError(
      f'`coordinator={coordinator!r}` needs `num_processes` and a `process_id` '
      'below it'
    )
  # A lost process ends this one from outside Python: its stack says nothing.
  faulthandler.disable()
  try:
    jax.distributed.initialize(
      coordinator, *given, heartbeat_timeout_seconds=_HEARTBEAT_S
    )
  except ValueError as error:  # Where nothing says what to join.
    raise UsageError(
      f'`coordinator` finds no other process: {error}'
    ) from error


@contextlib.contextmanager
def together() -> Iterator[None]:
  """If the block raises on any process, raises on all.

  Raises:
    RunError: if it failed on another process.
  """
  failure = None
  try:
    yield
  except Exception as error:
    failure = error
  failed = multihost_utils.process_allgather(np.array(failure is not None))
  if failure:
    raise failure
  if failed.any():
    first = int(np.argmax(failed))
    raise RunError(f'process {first} failed: its own message says why')


def agree(flag: bool) -> bool:
  """Whether ``flag`` is set on every process."""
  return bool(multihost_utils.process_allgather(np.array(flag)).all())


def leave(status: int) -> NoReturn:
  """Ends a process that failed, so that the others see it at once.

  The usual way out would wait for all of them to come to the same end.
  """
  if jax.distributed.is_initialized():
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
  sys.exit(status)
