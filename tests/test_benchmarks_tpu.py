import importlib.util
import json
import os
from pathlib import Path
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
  importlib.util.find_spec('libtpu') is None, reason='needs libtpu'
)


def test_a_kernel_compiles_for_a_slice():
  # In a process of its own: libtpu is for one at a time.
  found = subprocess.run(
    [sys.executable, '-m', 'benchmarks.tpu', '--chips=4', '--real=50000']
    + ['--programs=take rows', '--nonetworks'],
    cwd=Path(__file__).parents[1],
    env=os.environ | {'XLA_FLAGS': ''},
    capture_output=True,
    text=True,
    check=False,
  )
  assert found.returncode == 0, found.stderr
  lines = [json.loads(line) for line in found.stdout.splitlines()]
  assert len(lines) == 2
  for line in lines:
    assert line['compiles']
    assert line['fits']
    # No device gathers the set.
    assert line['temporary_bytes'] < line['arguments_bytes'] / 4
