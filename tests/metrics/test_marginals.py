import numpy as np
import pytest

from genmed_jax.metrics.marginals import marginal_wasserstein


def test_a_shift_is_counted_in_deviations(random):
  x = random.standard_normal((500, 2)) * [1.0, 10.0]
  moved = x + x.std(axis=0) * [0.5, 1.5]
  assert marginal_wasserstein(x, moved).value == pytest.approx(1.0)
  assert marginal_wasserstein(x, x[::-1]).value == 0.0


def test_constant_statistics_count_in_their_own_units():
  x = np.full((5, 1), 2.0)
  assert marginal_wasserstein(x, x + 3).value == pytest.approx(3.0)


def test_error_is_that_of_fresh_draws(random):
  sets = random.standard_normal((40, 2, 300, 2)) + [[[[0.0]], [[1.0]]]]
  values = [marginal_wasserstein(*pair).value for pair in sets]
  errors = [
    marginal_wasserstein(*pair, replicates=100).std_error for pair in sets[:8]
  ]
  assert np.mean(errors) == pytest.approx(np.std(values), rel=0.35)
