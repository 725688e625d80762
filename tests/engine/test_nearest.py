import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from genmed_jax.engine import nearest as nearest_module
from genmed_jax.engine.kernel import as_feature_set
from genmed_jax.engine.nearest import search
from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics import nearest_neighbours, own_neighbours


def expected_own(x, k):
  squared = cdist(np.float64(x), np.float64(x), 'sqeuclidean')
  np.fill_diagonal(squared, np.inf)
  return np.sort(squared, axis=1)[:, :k]


def too_close_for_float32(random):
  """Neighbours whose distances differ by 1e-9 of the features' spread."""
  x = random.standard_normal((60, 16))
  centre = random.standard_normal(16)
  directions = random.standard_normal((40, 16))
  directions /= np.linalg.norm(directions, axis=1, keepdims=True)
  radii = 2 + 1e-9 * random.permutation(40)[:, None]
  return np.concatenate([x, [centre], centre + radii * directions])


@pytest.mark.parametrize('k', [1, 4])
@pytest.mark.parametrize('n', [6, 130])
def test_own_neighbours_equal_reference(random, mesh, n, k):
  x = np.float32(random.standard_normal((n, 16)))
  found = own_neighbours(shard_rows(mesh, x), k=k)
  np.testing.assert_allclose(found.squared, expected_own(x, k), rtol=1e-12)
  difference = x[found.index].astype(np.float64) - x[:, None]
  np.testing.assert_allclose((difference**2).sum(-1), found.squared)


def test_what_float32_cannot_tell_apart_is_settled(random):
  x = too_close_for_float32(random)
  found = own_neighbours(x, k=4)
  np.testing.assert_allclose(found.squared, expected_own(x, 4), rtol=1e-14)
  to_centre = nearest_neighbours(x[61:], x[60:61])
  expected = cdist(x[60:61], x[61:]).argmin()
  assert to_centre.index[0, 0] == expected


def test_it_takes_a_second_look(random, monkeypatch):
  x = too_close_for_float32(random)
  monkeypatch.setattr(nearest_module, 'look_again', lambda *_, **__: None)
  found = own_neighbours(x, k=4).squared
  assert np.abs(found / expected_own(x, 4) - 1).max() > 1e-12


def test_float64_products_need_no_second_look(random, monkeypatch):
  x = too_close_for_float32(random)
  monkeypatch.delattr(nearest_module, 'look_again')
  with jax.enable_x64(True):
    queries, database = map(as_feature_set, (x[60:61], x[61:]))
    (found,) = search([queries], [database], dtype=jnp.float64)
  expected = cdist(x[60:61], x[61:])
  np.testing.assert_array_equal(found.index, [[expected.argmin()]])
  np.testing.assert_allclose(found.squared, [[expected.min() ** 2]], rtol=1e-12)


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.float64])
def test_searches_at_once_are_those_of_each(random, dtype):
  pairs = [
    [random.standard_normal((count, 5)) for count in counts]
    for counts in ((40, 30), (1, 70), (90, 1))
  ]
  with jax.enable_x64(True):
    sides = (
      list(map(as_feature_set, side)) for side in zip(*pairs, strict=True)
    )
    found = search(*sides, dtype=dtype)
  for (queries, database), each in zip(pairs, found, strict=True):
    distances = cdist(queries, database)
    np.testing.assert_array_equal(each.index[:, 0], distances.argmin(1))
    np.testing.assert_allclose(
      each.squared[:, 0], distances.min(1) ** 2, rtol=1e-6
    )


def test_sets_of_other_counts_share_their_programs(random, compiled):
  x = too_close_for_float32(random)  # Some look again.
  more = np.concatenate([x, 9 + random.standard_normal((500, 16))])
  programs = []
  for database, queries in ((x, more), (more, x), (x[:90], x[5:])):
    own_neighbours(database, k=4)
    nearest_neighbours(database, queries)
    programs.append(len(compiled))
  assert programs[1] == programs[0]
  assert programs[2] == programs[0]


def test_nearest_equals_reference(random, mesh):
  x, y = np.float32(random.standard_normal((2, 50, 16)))
  x = np.concatenate([x, y[:5], x[:5]])
  found = nearest_neighbours(*(shard_rows(mesh, f) for f in (x, y)))
  distances = cdist(np.float64(y), np.float64(x), 'sqeuclidean')
  np.testing.assert_array_equal(found.index[:, 0], distances.argmin(1))
  np.testing.assert_allclose(found.squared[:, 0], distances.min(1), atol=0)
  assert (found.squared[:5] == 0).all()


@pytest.mark.parametrize('scale', [1e-3, 1.0, 1e4])
def test_scale_and_offset_change_nothing(random, scale):
  x = random.integers(-512, 512, (80, 16)) / 256
  found = own_neighbours(np.float32(scale * (x + 2.0**6)), k=4)
  plain = own_neighbours(np.float32(x), k=4)
  np.testing.assert_allclose(found.squared, scale**2 * plain.squared, rtol=1e-2)


def test_too_few_others():
  with pytest.raises(ValueError, match='at least 4 images, got 3'):
    own_neighbours(np.eye(3), k=3)
