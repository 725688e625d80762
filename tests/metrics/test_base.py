import numpy as np
import pytest

from genmed_jax.errors import Undefined
from genmed_jax.metrics.base import (
  Comparison,
  Estimate,
  Score,
  score_of,
  score_of_images,
)
from tests.metrics.sets import comparison, feature_set


def is_disjoint(one, other):
  one, other = one.to_host(), other.to_host()
  return not (one[:, None] == other).all(-1).any()


def test_halves_are_disjoint_and_seeded():
  compared = comparison(n=61)
  again = Comparison(compared.reference, compared.generated)
  one, other = compared.halves, again.halves
  np.testing.assert_array_equal(
    one.reference.to_host(), other.reference.to_host()
  )
  assert one.counts == (30, 30)
  assert is_disjoint(one.reference, one.generated)


def test_halves_are_no_larger_than_the_generated_set():
  assert comparison(n=60, m=20).halves.counts == (20, 20)


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


def test_a_score_has_the_interval_of_its_estimate():
  found = score_of(comparison(), Estimate(1.0, 1.0), 'so', 'be it', at_least=0)
  assert (found.value, found.notes) == (1.0, ('so', 'be it'))
  np.testing.assert_allclose(found.interval, (1.0, 0.0, 2.96), rtol=1e-3)
  bare = score_of(comparison(bootstrap=0), Estimate(1.0))
  assert bare == Score(1.0, None, ())


def test_a_score_of_images_is_their_mean(random):
  values = random.standard_normal(400)
  found = score_of_images(comparison(), values, 'a note')
  assert (found.value, found.notes) == (values.mean(), ('a note',))
  np.testing.assert_allclose(found.interval.std_error, 0.05, rtol=0.2)
  assert found.interval.low < found.value < found.interval.high
  bare = score_of_images(comparison(bootstrap=0), values)
  assert bare == Score(values.mean(), None, ())


def test_images_that_score_the_same_leave_no_interval():
  found = score_of_images(comparison(), np.full(9, 2.0), 'a note')
  empty = 'every image scores the same, so the interval is empty'
  assert found == Score(2.0, (0.0, 2.0, 2.0), (empty, 'a note'))
  assert score_of_images(comparison(bootstrap=0), np.ones(9)).notes == ()
