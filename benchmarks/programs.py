"""Count of the programs that a process compiles, and the time they take."""

from collections.abc import Iterator
import contextlib
import time

import jax

_EVENTS = {
  '/jax/core/compile/jaxpr_trace_duration': 'tracing',
  '/jax/core/compile/jaxpr_to_mlir_module_duration': 'lowering',
  '/jax/core/compile/backend_compile_duration': 'compiling',
}


class Programs:
  """Programs that were compiled, or read from a cache of compiled ones.

  Attributes:
    names: Of the programs, in order.
  """

  def __init__(self):
    """Starts with none."""
    self.names = []
    self._spans = []

  def __call__(self, event: str, seconds: float, **details) -> None:
    """Notes an event of ``jax.monitoring``."""
    if event not in _EVENTS:
      return
    end = time.perf_counter()
    self._spans.append((end - seconds, end, _EVENTS[event]))
    if _EVENTS[event] == 'compiling':
      self.names.append(details.get('fun_name'))

  def seconds(self, *kinds: str) -> float:
    """Time in which programs were made ready; of ``kinds`` if given.

    Events that lie within others, a function traced by another, count once.
    """
    total = last = 0.0
    for start, end, kind in sorted(self._spans):
      if (not kinds or kind in kinds) and end > last:
        total += end - max(start, last)
        last = end
    return total


@contextlib.contextmanager
def counted() -> Iterator[Programs]:
  """Counts the programs of a block."""
  programs = Programs()
  jax.monitoring.register_event_duration_secs_listener(programs)
  try:
    yield programs
  finally:
    jax.monitoring.unregister_event_duration_listener(programs)
