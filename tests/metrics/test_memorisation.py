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
  assert found.notes == ('a half of the training images is held out',)


def test_copies_of_training_images_are_memorised(random):
  train, test = map(feature_set, random.standard_normal((2, 100, 6)))
  copies = feature_set(train.to_host()[:40] + 1e-3)
  compared = metrics.Comparison(train, copies, train, test)
  found = metrics.score('memorised', compared)
  assert found.value == 100
  assert found.notes == (
    'every image scores the same, so the interval is empty',
  )
