"""The README's Python runs, and its test command is what CI runs."""

import contextlib
import io
from pathlib import Path
import re

README = Path(__file__).parents[1] / 'README.md'


def test_python_blocks_run_one_after_the_other():
  blocks = re.findall(r'```python\n(.*?)```', README.read_text(), re.DOTALL)
  assert len(blocks) >= 3
  names, output = {}, io.StringIO()
  with contextlib.redirect_stdout(output):
    for block in blocks:
      exec(block, names)
  assert 'given' in output.getvalue()
  assert re.search(r"^2 \{'fd': [\d.]+, 'authpct'", output.getvalue(), re.M)
  assert max(block.count('\n') for block in blocks[:1]) <= 12
