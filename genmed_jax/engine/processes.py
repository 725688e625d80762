"""Runs of several processes: how they meet, and how they part."""

from collections.abc import Iterator
import contextlib
import faulthandler
import os
import sys

from absl import flags
import jax
from jax.experimental import multihost_utils
import numpy as np

from genmed_jax.errors import UsageError

# A process that is lost ends the others after so long.
_HEARTBEAT_S = 30

_COORDINATOR = flags.DEFINE_string(
  'coordinator',
  None,
  'HOST:PORT of process 0, for a run of several processes; auto where SLURM, '
  'a TPU pod or GKE says where it is.',
)
_NUM_PROCESSES = flags.DEFINE_integer(
  'num_processes', None, 'How many processes the run has.', lower_bound=1
)
_PROCESS_ID = flags.DEFINE_integer(
  'process_id', None, 'Which of them this is, from 0.', lower_bound=0
)


def join() -> None:
  """Joins the other processes of the run, if there are any.

  Raises:
    UsageError: if the flags do not go together.
  """
  given = _NUM_PROCESSES.value, _PROCESS_ID.value
  if _COORDINATOR.value is None:
    if given != (None, None):
      raise UsageError('--num_processes and --process_id need --coordinator')
    return
  if _COORDINATOR.value == 'auto':
    address = None
  elif None in given or _PROCESS_ID.value >= _NUM_PROCESSES.value:
    raise UsageError(
      '--coordinator=HOST:PORT needs --num_processes and a --process_id '
      'below it'
    )
  else:
    address = _COORDINATOR.value
  # A lost process ends this one from outside Python: its stack says nothing.
  faulthandler.disable()
  jax.distributed.initialize(
    address, *given, heartbeat_timeout_seconds=_HEARTBEAT_S
  )


@contextlib.contextmanager
def together() -> Iterator[None]:
  """Lets no process go on from work of its own that failed on another.

  Raises:
    RuntimeError: if it failed on another process.
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
    raise RuntimeError(f'process {first} failed: its own message says why')


def agree(flag: bool) -> bool:
  """Whether it is so on every process."""
  return bool(multihost_utils.process_allgather(np.array(flag)).all())


def leave(status: int) -> None:
  """Ends a process that failed, so that the others see it at once.

  The usual way out would wait for all of them to come to the same end.
  """
  if jax.distributed.is_initialized():
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
  sys.exit(status)
