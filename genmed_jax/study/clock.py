"""Where the time of a study goes."""

import collections
import contextlib
import time


class Clock:
  """Seconds by what they were spent on."""

  def __init__(self):
    """Starts at zero."""
    self.seconds = collections.Counter()

  @contextlib.contextmanager
  def on(self, what: str):
    """Counts what is inside as time spent on ``what``."""
    start = time.perf_counter()
    yield
    self.seconds[what] += time.perf_counter() - start
