import numpy as np
import pytest

from genmed_jax import metrics
from genmed_jax.metrics import authenticity, memorisation_index
from tests import references
from tests.metrics.sets import comparison, feature_set, features, PAIRS


@pytest.mark.parametrize('name', PAIRS)
def test_authenticity_equals_reference(random, name):
  x, y = PAIRS[name](random)
  np.testing.assert_array_equal(authenticity(x, y), references.authentic(x, y))


def test_copies_are_never_authentic(random):
  x, _ = features(random)
  assert not authenticity(x, x[5:25]).any()


def test_index_is_nearness_in_deviations_of_held_out_images(random):
  held_out = random.uniform(1, 2, 50)
  deviation = held_out.std(ddof=1)
  made = held_out.mean() - deviation * np.array([-1.0, 0.0, 3.0])
  index, threshold = memorisation_index(made, held_out)
  np.testing.assert_allclose(index, [-1.0, 0.0, 3.0], atol=1e-12)
  own, _ = memorisation_index(held_out, held_out)
  assert np.sum(own > threshold) == 3  # 5 % of them.


@pytest.mark.parametrize('held_out', [[1.0], [2.0, 2.0, 2.0]])
def test_index_needs_distances_that_differ(held_out):
  with pytest.raises(ValueError, match='all as far from training ones'):
    memorisation_index(np.ones(3), np.array(held_out))


def test_train_is_what_authpct_is_about():
  compared = comparison()
  copied = feature_set(compared.generated.to_host())
  score = metrics.score('authpct', comparison(train=copied))
  note = 'the reference stands for the training images'
  assert note not in score.notes
  assert note in metrics.score('authpct', compared).notes


def test_columns_are_about_the_training_images():
  generated = comparison().generated.to_host()
  train = np.concatenate([generated[:50] + 100, generated[::-1]])
  compared = comparison(train=feature_set(train))
  authentic, nearest, distance = (
    column.values(compared) for column in metrics.METRICS['authpct'].columns
  )
  assert not authentic.any()
  np.testing.assert_array_equal(nearest, 50 + np.arange(200)[::-1])
  np.testing.assert_array_equal(distance, 0.0)
  (column,) = metrics.METRICS['memorised'].columns
  found = metrics.score('memorised', compared)
  assert column.values(compared).shape == (200,)
  honest = 'training images stand for held-out ones, each to the others'
  assert found.notes[-1] == honest


def test_copies_of_training_images_are_memorised(random):
  train, test = map(feature_set, random.standard_normal((2, 100, 6)))
  copies = feature_set(train.to_host()[:40] + 1e-3)
  compared = metrics.Comparison(train, copies, train, test)
  found = metrics.score('memorised', compared)
  assert found.value == 100
  assert found.interval.low < 100


@pytest.fixture
def with_copies(random):
  """Training images, held-out ones, and a set with 30 copies among 60."""
  train, test, made = np.float32(random.standard_normal((3, 100, 6)))
  pixels = random.integers(0, 255, (200, 16)).astype(np.uint8)
  copied = np.concatenate([train[:30], made[:30]])
  copied_pixels = np.concatenate([pixels[:30], pixels[100:130]])

  def compared(moved, resolution=0.0):
    noise = moved * random.standard_normal(copied.shape)
    values = np.float32(copied + noise)
    return metrics.Comparison(
      *(
        feature_set(values, resolution, pixels=hashes)
        for values, hashes in (
          (train, pixels[:100]),
          (values, copied_pixels),
          (train, pixels[:100]),
          (test, pixels[100:]),
        )
      )
    )

  return compared


def test_without_held_out_images_all_copies_are_found(random):
  train, made = random.standard_normal((2, 200, 6))
  made[:60] = train[:60]
  found = metrics.score(
    'memorised', metrics.Comparison(*map(feature_set, (train, made)))
  )
  # 5 % of the honest ones, give or take three standard errors.
  assert 30 <= found.value < 30 + 0.7 * (5 + 3 * (5 * 95 / 140) ** 0.5)


def test_index_needs_honest_images_that_are_no_copies(random):
  train = np.repeat(random.standard_normal((50, 6)), 2, axis=0)
  made = random.standard_normal((50, 6))
  found = metrics.score(
    'memorised', metrics.Comparison(*map(feature_set, (train, made)))
  )
  assert found.value is None
  assert found.notes[0].startswith('100 % of held-out images are copies')


def test_copies_are_counted_by_their_pixels(with_copies):
  score = metrics.score('copies', with_copies(0.1))
  assert score.value == 50
  (column,) = metrics.METRICS['copies'].columns
  np.testing.assert_array_equal(
    column.values(with_copies(0.1)), np.arange(60) < 30
  )


@pytest.mark.parametrize(
  'name', ['authpct', 'memorised', 'realism', 'ct', 'precision', 'density']
)
def test_copies_that_moved_within_the_resolution_are_equal(with_copies, name):
  exact = metrics.score(name, with_copies(0.0, 1e-4))
  moved = metrics.score(name, with_copies(1e-6, 1e-4))
  np.testing.assert_allclose(moved.value, exact.value, rtol=1e-4)
  if name == 'realism':
    assert '30 near copies of real images are left out' in moved.notes


def test_the_index_of_a_tie_is_not_above_the_threshold():
  held_out = np.linspace(1, 2, 50)
  tie = np.quantile(held_out, 0.05)
  for step, above in ((-1e-6, True), (-1e-8, False), (1e-8, False)):
    index, threshold = memorisation_index(
      np.array([tie + step]), held_out, resolution=1e-7
    )
    assert (index > threshold).all() == above
