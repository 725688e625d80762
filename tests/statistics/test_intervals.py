import pickle

import numpy as np

from genmed_jax.statistics.intervals import (
  bootstrap_mean,
  Estimate,
  normal_interval,
)


def test_details_of_estimates_are_their_own():
  plain = Estimate(1.5)
  assert plain[:2] == (1.5, None)
  assert plain.details == {}
  assert pickle.loads(pickle.dumps(plain)) == plain
  assert Estimate(1.5, 0.1, {'slope': 2.0}).details['slope'] == 2.0
  assert not Estimate(1.5).details


def test_bootstrap_of_a_mean_has_its_standard_error(random):
  values = random.standard_normal(400)
  interval = bootstrap_mean(values, replicates=4000, seed=1)
  expected = values.std() / 20
  np.testing.assert_allclose(interval.std_error, expected, rtol=0.05)
  np.testing.assert_allclose(
    [interval.low, interval.high],
    values.mean() + np.array([-1.96, 1.96]) * expected,
    atol=0.15 * expected,
  )


def test_images_of_a_subject_are_drawn_together(random):
  subjects = np.arange(400) // 8
  values = random.standard_normal(50)[subjects]
  interval = bootstrap_mean(values, replicates=4000, seed=1, subjects=subjects)
  expected = values.std() / 50**0.5
  np.testing.assert_allclose(interval.std_error, expected, rtol=0.05)


def test_bootstrap_is_seeded():
  values = np.arange(30.0)
  one = bootstrap_mean(values, replicates=50, seed=3)
  assert one == bootstrap_mean(values, replicates=50, seed=3)
  assert one != bootstrap_mean(values, replicates=50, seed=4)


def test_normal_interval_stays_in_range():
  interval = normal_interval(1.0, 1.0, at_least=0.0)
  assert interval.low == 0.0
  np.testing.assert_allclose(interval.high, 2.96, rtol=1e-3)
