import numpy as np
import pytest

from genmed_jax.errors import Undefined
from genmed_jax.metrics.base import mean_of_images
from tests.metrics.sets import comparison, feature_set


def is_disjoint(one, other):
  one, other = one.to_host(), other.to_host()
  return not (one[:, None] == other).all(-1).any()


def test_shared_statistics_are_computed_once():
  calls = []

  def shared(c):
    calls.append(c)
    return c.counts

  compared = comparison(n=20, m=10)
  assert compared.get(shared) == compared.get(shared) == (20, 10)
  assert comparison(n=21, m=10).get(shared) == (21, 10)
  assert len(calls) == 2


@pytest.mark.parametrize('train_given', [False, True])
def test_without_a_test_set_half_of_the_training_set_is_held_out(
  random, train_given
):
  given = feature_set(random.standard_normal((31, 6))) if train_given else None
  compared = comparison(n=31, train=given)
  train, test = compared.held_out
  assert compared.train_given == train_given
  assert not compared.test_given
  assert (train.count, test.count) == (16, 15)
  assert is_disjoint(train, test)
  whole = (given or compared.reference).to_host()
  parts = np.concatenate([train.to_host(), test.to_host()])
  np.testing.assert_array_equal(*(np.sort(f, axis=0) for f in (whole, parts)))


def test_held_out_images_that_are_given(random):
  train, test = map(feature_set, random.standard_normal((2, 9, 6)))
  compared = comparison(n=20, train=train, test=test)
  assert compared.test_given
  assert compared.held_out == (train, test)
  assert comparison(n=20, test=test).held_out[1] is test


def test_three_images_have_no_halves():
  with pytest.raises(Undefined, match='at least 4 training images'):
    _ = comparison(n=3).held_out


def test_a_mean_of_images_takes_one():
  assert mean_of_images(np.arange(3.0), 'a note') == (1.0, None, ('a note',))
  with pytest.raises(Undefined, match='no image'):
    mean_of_images(np.zeros(0))
