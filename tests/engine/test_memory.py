import jax
import numpy as np

from genmed_jax import metrics
from genmed_jax.engine import memory
from tests.metrics.test_registry import feature_set


def test_only_statistics_of_large_sets_drop_programs(random, monkeypatch):
  x, y = np.float32(random.standard_normal((2, 30, 4)))
  compared = metrics.Comparison(feature_set('x', x), feature_set('y', y))
  program = jax.jit(jax.numpy.square)
  program(2.0)
  memory.release(compared)
  assert program._cache_size() == 1
  before = metrics.score('asw', compared)
  monkeypatch.setattr(memory, '_LARGE', 0)
  memory.release(compared)
  assert program._cache_size() == 0
  assert metrics.score('asw', compared) == before
