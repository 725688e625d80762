import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.engine.tiles import fold_tiles, map_tiles, tile_size


@pytest.mark.parametrize(
  ('n', 'size'),
  [(1, 1), (1023, 1023), (1024, 1024), (1025, 513), (2000, 1000), (2049, 683)],
)
def test_tiles_are_few_and_even(n, size):
  assert tile_size(n, 1024) == size


@pytest.mark.parametrize('n', [1, 4, 5, 9, 10])
def test_every_row_counts_once(random, n):
  rows = {'a': random.standard_normal((n, 3)), 'b': np.arange(n)}

  def add(tile, fresh, state):
    return state + jnp.where(fresh, tile['a'].sum(1) * tile['b'], 0.0).sum()

  total = fold_tiles(rows, add, jnp.zeros(()), tile=4)
  np.testing.assert_allclose(total, rows['a'].sum(1) @ rows['b'], rtol=1e-5)


@pytest.mark.parametrize('n', [1, 4, 5, 9, 10])
def test_rows_come_out_in_order(random, n):
  rows = random.standard_normal((n, 3)).astype(np.float32)
  found = map_tiles(rows, lambda tile: {'twice': 2 * tile}, tile=4)
  np.testing.assert_array_equal(found['twice'], 2 * rows)
