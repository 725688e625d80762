import pickle

import numpy as np
import pytest
from scipy import stats

from genmed_jax.statistics.intervals import (
  bootstrap_mean,
  error_of_halves,
  Estimate,
  interval_of,
  interval_of_share,
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


def test_interval_stays_in_range():
  interval = interval_of(1.0, 1.0, within=(0.0, np.inf))
  assert interval.low == 0.0
  np.testing.assert_allclose(interval.high, 2.96, rtol=1e-3)


def test_an_error_of_few_splits_widens_the_interval():
  interval = interval_of(0.0, 1.0, freedom=25)
  assert interval.std_error == 1
  np.testing.assert_allclose([interval.low, interval.high], [-2.06, 2.06], 1e-3)


@pytest.mark.parametrize('p', [0.3, 0.5, 0.98])
@pytest.mark.parametrize('whole', [1, 100])
def test_interval_of_a_share_is_wilsons(p, whole):
  error = (p * (1 - p) / 50) ** 0.5  # As good as 50 images.
  found = interval_of_share(whole * p, whole * error, 200, whole=whole)
  wilson = stats.binomtest(round(50 * p), 50).proportion_ci(method='wilson')
  np.testing.assert_allclose(found[1:], whole * np.array(wilson), rtol=1e-6)
  assert found.std_error >= whole * error
  assert p > 0.9 or found.std_error == pytest.approx(whole * error)


@pytest.mark.parametrize('p', [0.0, 1.0])
def test_a_share_of_none_or_all_keeps_an_error(p):
  error, low, high = interval_of_share(p, 0.0, 50)
  wilson = stats.binomtest(round(50 * p), 50).proportion_ci(method='wilson')
  np.testing.assert_allclose([low, high], wilson, atol=1e-12)
  assert error > 0


@pytest.mark.parametrize('p', [0.0, 1.0])
def test_a_share_at_an_end_keeps_the_length_of_its_error(p):
  _, low, high = interval_of_share(p, 0.01, 10_000)
  np.testing.assert_allclose(high - low, 1.96 * 0.01, rtol=0.03)


def test_a_share_is_worth_no_more_images_than_there_are():
  assert interval_of_share(0.5, 1e-6, 50)[1:] == pytest.approx(
    interval_of_share(0.5, (0.25 / 50) ** 0.5, 50)[1:]
  )


@pytest.mark.parametrize('share', [0.5, 0.2])
def test_parts_of_a_sample_tell_the_error_of_its_mean(random, share):
  values = random.standard_normal(2000)
  size = int(share * len(values))
  differences = []
  for _ in range(200):
    order = random.permutation(values)
    differences.append(order[:size].mean() - order[size : 2 * size].mean())
  found = error_of_halves(np.array(differences), share)
  np.testing.assert_allclose(found, values.std() / 2000**0.5, rtol=0.15)
