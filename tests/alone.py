"""Modules in processes of their own, as light as tests have them elsewhere.

python tests/alone.py MODULE ARGUMENTS runs it as ``python -m`` does.
"""

import os
import runpy
import sys

# Most of the time that tests take is compiling.
XLA_FLAGS = '--xla_backend_optimization_level=1'
# Errors and floors take as much code with few splits, and less time.
SPLITS = 2


def arguments(module: str) -> list[str]:
  """Of a process that runs the module with what is appended."""
  return [sys.executable, __file__, module]


def environment() -> dict[str, str]:
  """Of such a process: with one device."""
  return os.environ | {'XLA_FLAGS': XLA_FLAGS}


if __name__ == '__main__':
  from genmed_jax.metrics import splits

  splits.SPLITS = SPLITS
  runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)
