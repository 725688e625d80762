import numpy as np
import pytest

from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics import copying_test, ct
from genmed_jax.metrics.ct import copying_test_in_cells
from tests import references


@pytest.fixture
def sets(random):
  centres = 6 * random.standard_normal((3, 12))

  def draw(n):
    return np.float32(
      centres[random.integers(3, size=n)] + random.standard_normal((n, 12))
    )

  return draw(240), draw(150), draw(200)


def test_equals_reference_in_the_same_cells(sets, random):
  cells = [random.integers(3, size=len(f)) for f in sets]
  np.testing.assert_allclose(
    copying_test_in_cells(*sets, *cells).value,
    references.copying_in_cells(*map(np.float64, sets), *cells),
    rtol=1e-12,
  )


def test_cells_without_enough_generated_images_do_not_count(sets, random):
  train, test, y = (random.integers(3, size=len(f)) for f in sets)
  y[y == 2] = 0
  np.testing.assert_allclose(
    copying_test_in_cells(*sets, train, test, y).value,
    references.copying_in_cells(*map(np.float64, sets), train, test, y),
    rtol=1e-12,
  )
  with pytest.raises(ValueError, match='no cell has more than 20'):
    copying_test_in_cells(*sets[:2], sets[2][:9], train, test, y[:9])
  with pytest.raises(ValueError, match='has no test image'):
    copying_test_in_cells(*sets, train, np.minimum(test, 1), y)


def test_says_copying_honest_and_underfitting(sets, random):
  train, test, y = sets
  noise = 0.05 * random.standard_normal((200, 12))
  assert copying_test(train, test, train[:200] + noise).value < -5
  assert abs(copying_test(train, test, y).value) < 3
  assert copying_test(train, test, 1.6 * y).value > 5


def test_of_one_feature(sets):
  train, test, y = (f[:, :1] for f in sets)
  assert copying_test(train, test, train[:200] + 1e-4).value < -5
  assert abs(copying_test(train, test, y).value) < 3


def test_ties_survive_the_projection(random):
  """Integers have ties, which a rotation to principal axes rounds apart."""
  train, test, y = random.integers(-2, 3, (3, 80, 6)).astype(np.float64)
  train, test, y = (
    np.hstack([f, np.zeros((80, 60))]) for f in (train, test, y)
  )
  one = np.zeros(80, int)
  exact = copying_test_in_cells(train, test, y, one, one, one)
  found = copying_test(train, test, y, cells=1, components=6)
  np.testing.assert_allclose(found.value, exact.value, rtol=1e-9)


def test_sharded_equals_plain(sets, mesh):
  sharded = copying_test(*(shard_rows(mesh, f) for f in sets))
  np.testing.assert_allclose(sharded[:2], copying_test(*sets)[:2], rtol=1e-9)


@pytest.mark.parametrize('n', [40, 300])
def test_projects_wide_features(random, n):
  axes = random.standard_normal((5, 90))
  train, test, y = (
    np.float32(random.standard_normal((k, 5)) @ axes) for k in (n, 150, 200)
  )
  rotation = np.linalg.qr(random.standard_normal((90, 90)))[0]
  np.testing.assert_allclose(
    copying_test(train, test, y, components=8).value,
    copying_test(*(f @ rotation for f in (train, test, y))).value,
    atol=0.1,
  )


def test_std_error_is_the_spread_over_draws(random):
  results = []
  for _ in range(60):
    sets = (random.standard_normal((k, 4)) for k in (200, 120, 100))
    train, test, y = sets
    cells = [np.zeros(len(f), int) for f in (train, test, y)]
    found = copying_test_in_cells(train, test, 1.2 * y, *cells)
    results.append(found[:2])
  values, errors = np.array(results).T
  assert 0.5 < errors.mean() / values.std(ddof=1) < 1.6


def test_distances_keep_digits_that_float32_lacks():
  train = np.array([[1.0, 0.0], [3.0, 0.0]])
  images = train + np.array([[1e-9, 0.0], [0.0, 0.25]])
  (distances,) = ct._to_nearest([images], [train])
  np.testing.assert_allclose(distances, [1e-9, 0.25], rtol=1e-6)
