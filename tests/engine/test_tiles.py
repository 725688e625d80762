import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.engine.tiles import end_of, fold_tiles, map_tiles, tile_size


@pytest.mark.parametrize(
  ('n', 'size'),
  [(1, 1), (1023, 1023), (1024, 1024), (1025, 520), (2000, 1000), (2049, 688)],
)
def test_tiles_are_few_and_even(n, size):
  assert tile_size(n, 1024) == size


@pytest.mark.parametrize(
  ('mask', 'end'),
  [([], 0), ([0, 0, 0], 0), ([1, 1, 1], 3), ([0, 1, 0, 1, 0, 0], 4)],
)
def test_the_end_is_after_the_last_row_that_counts(mask, end):
  found = end_of(jnp.asarray(mask, bool))
  assert (int(found), found.dtype) == (end, jnp.int32)


@pytest.mark.parametrize('n', [1, 4, 5, 9, 10])
def test_every_row_before_the_end_counts_once(random, n):
  rows = {'a': random.standard_normal((n, 3)), 'place': np.arange(n)}

  def add(tile, fresh, state):
    total, seen, tiles = state
    total += jnp.where(fresh, tile['a'].sum(1) * tile['place'], 0.0).sum()
    return total, seen.at[tile['place']].add(fresh), tiles + 1

  @jax.jit
  def fold(end):
    nothing = jnp.zeros(()), jnp.zeros(n, jnp.int32), 0
    return fold_tiles(rows, add, nothing, tile=4, end=end)

  total, *_ = fold(n)
  expected = rows['a'].sum(1) @ rows['place']
  np.testing.assert_allclose(total, expected, rtol=1e-5, atol=1e-6)
  size = tile_size(n, 4)
  for end in range(n + 1):
    _, seen, tiles = fold(end)
    assert tiles == -(-end // size)
    np.testing.assert_array_equal(seen, np.arange(n) < tiles * size)


@pytest.mark.parametrize('n', [1, 4, 5, 9, 10])
def test_rows_come_out_in_order_up_to_the_end(random, n):
  rows = random.standard_normal((n, 3)).astype(np.float32)

  @jax.jit
  def twice(end):
    return map_tiles(rows, lambda tile: {'twice': 2 * tile}, tile=4, end=end)

  size = tile_size(n, 4)
  for end in range(n + 1):
    done = min(-(-end // size) * size, n)
    found = np.asarray(twice(end)['twice'])
    np.testing.assert_allclose(found[:done], 2 * rows[:done], rtol=1e-6)
    assert not found[done:].any()
