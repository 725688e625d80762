"""Time that a study takes, by its steps."""

import collections
import contextlib
import time


class Clock:
  """Seconds by step."""

  def __init__(self):
    """Starts at zero."""
    self.seconds = collections.Counter()

  @contextlib.contextmanager
  def on(self, what: str):
    """Counts the time of the block as that of the step ``what``."""
    start = time.perf_counter()
    yield
    self.seconds[what] += time.perf_counter() - start
