import jax
import pytest

from genmed_jax import metrics
from genmed_jax.engine import memory
from tests.metrics.sets import feature_set


@pytest.fixture(autouse=True)
def as_a_process_starts(monkeypatch):
  monkeypatch.setattr(memory, '_releases', False)


def compiled():
  program = jax.jit(jax.numpy.square)
  program(2.0)
  assert program._cache_size() == 1
  return program


@pytest.mark.parametrize('releases', [False, True])
@pytest.mark.parametrize('large', [False, True])
def test_only_commands_drop_programs_and_only_of_large_sets(
  random, monkeypatch, releases, large
):
  sets = [feature_set(f) for f in random.standard_normal((2, 30, 4))]
  if releases:
    memory.release_programs()
  # Of features in single precision, of both sets.
  bound = 2 * 30 * 4 * 4
  monkeypatch.setattr(memory, '_LARGE', bound if large else bound + 1)
  program = compiled()
  memory.release(*sets)
  assert program._cache_size() == (0 if releases and large else 1)


def test_a_score_releases_and_can_be_had_again(random, monkeypatch):
  sets = (feature_set(f) for f in random.standard_normal((2, 30, 4)))
  compared = metrics.Comparison(*sets)
  before = metrics.score('asw', compared)
  memory.release_programs()
  monkeypatch.setattr(memory, '_LARGE', 0)
  program = compiled()
  assert metrics.score('asw', compared) == before
  assert program._cache_size() == 0
  assert metrics.score('asw', compared) == before
