import pytest

from genmed_jax.engine import progress


@pytest.mark.parametrize(('seconds', 'lines'), [(1.9, 0), (2.1, 1)])
def test_long_work_without_a_terminal_leaves_a_line(
  capsys, monkeypatch, seconds, lines
):
  now = [0.0]
  monkeypatch.setattr('tqdm.std.time', lambda: now[0])
  for _, each in progress.by_name({'one': 1, 'two': 2}, 'set'):
    now[0] += each * seconds / 3
  shown = capsys.readouterr().err.strip()
  assert len(shown.splitlines()) == lines
  assert not lines or ('set: 100%' in shown and '2/2' in shown)
