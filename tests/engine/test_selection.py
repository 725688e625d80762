import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.engine.selection import keep_nearest, NOBODY

K = 3


def nearest(squared, index, kept):
  """The nearest by distance, and by index where distances tie."""
  squared = np.concatenate([kept[0], squared], axis=1)
  index = np.concatenate(
    [kept[1], np.broadcast_to(index, (len(squared), len(index)))], axis=1
  )
  order = np.lexsort((index, squared), axis=1)[:, :K]
  return (np.take_along_axis(values, order, 1) for values in (squared, index))


@pytest.mark.parametrize('top_k', [False, True])
@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize(
  ('rows', 'columns'), [(5, 7), (1, 64), (40, 100), (33, 256)]
)
@pytest.mark.parametrize('levels', [4, 1000000])
def test_the_nearest_of_a_tile_and_of_those_before(
  random, rows, columns, axis, top_k, levels
):
  tiles = random.integers(0, levels, (3, rows, columns)).astype(np.float32)
  tiles[1, : rows // 2] += levels  # Half of the rows find nobody nearer there.
  kept = (
    np.full((rows, K), np.inf, np.float32),
    np.full((rows, K), NOBODY, np.int32),
  )
  found = tuple(map(jnp.asarray, kept))
  for t, tile in enumerate(tiles):
    index = np.arange(columns, dtype=np.int32) + t * columns
    kept = tuple(nearest(tile, index, kept))
    found = keep_nearest(
      jnp.asarray(tile if axis else tile.T),
      jnp.asarray(np.expand_dims(index, 1 - axis)),
      found,
      axis,
      top_k,
    )
  for got, expected in zip(found, kept, strict=True):
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize('top_k', [False, True])
def test_what_is_at_infinity_comes_after_all_others(top_k):
  squared = jnp.full((2, 8), jnp.inf).at[1, 5].set(2.0)
  kept = jnp.full((2, K), jnp.inf), jnp.full((2, K), NOBODY, jnp.int32)
  index = jnp.arange(8, dtype=jnp.int32)[None]
  squared, index = keep_nearest(squared, index, kept, 1, top_k)
  np.testing.assert_array_equal(squared, [[np.inf] * K, [2.0, np.inf, np.inf]])
  assert index[1, 0] == 5
