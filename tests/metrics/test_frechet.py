import jax
import numpy as np
import pytest
import scipy.stats

from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics import frechet_distance
from tests import references


def features(random, n, m, d, dtype=np.float32):
  scale = np.exp(-np.arange(d) / d * 3)
  x = random.standard_normal((n, d)) * scale
  y = random.standard_normal((m, d)) * scale * 1.2 + 0.3
  return x.astype(dtype), y.astype(dtype)


@pytest.mark.parametrize(
  ('n', 'm', 'd'),
  [(200, 150, 32), (40, 50, 64), (40, 200, 64), (200, 40, 64), (64, 64, 64)],
)
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_equals_reference(random, n, m, d, dtype):
  x, y = features(random, n, m, d, dtype)
  distance = frechet_distance(x, y).value
  # The reference takes roots of rounding where a set does not fill the space.
  rtol = 1e-10 if min(n, m) > d else 1e-6
  np.testing.assert_allclose(distance, references.frechet(x, y), rtol=rtol)


def test_equals_torch_fidelity(random):
  fid = pytest.importorskip('torch_fidelity.metric_fid')
  x, y = features(random, 300, 250, 48, np.float64)
  statistics = [
    {'mu': f.mean(0), 'sigma': np.cov(f, rowvar=False)} for f in (x, y)
  ]
  peer = fid.fid_statistics_to_metric(*statistics, verbose=False)
  np.testing.assert_allclose(
    frechet_distance(x, y).value, peer[fid.KEY_METRIC_FID], rtol=1e-6
  )


def test_of_one_feature(random):
  x, y = (
    random.standard_normal((60, 1)),
    2 + 3 * random.standard_normal((50, 1)),
  )
  expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
  np.testing.assert_allclose(frechet_distance(x, y).value, expected, rtol=1e-10)


def test_analytic_diagonal_gaussians():
  # Points at ±sqrt(n - 1)... have exactly these variances and no covariance.
  design = scipy.linalg.hadamard(64)[:, 1:33] * np.sqrt(63 / 64)
  a, b = np.linspace(1, 2, 32), np.linspace(2, 0.5, 32)
  expected = np.sum((a - b) ** 2) + 32 * 0.25
  distance = frechet_distance(design * a, design * b + 0.5).value
  np.testing.assert_allclose(distance, expected, rtol=1e-10)


@pytest.mark.parametrize(('n', 'd'), [(100, 16), (20, 48)])
def test_invariances(random, n, d):
  x, y = features(random, n, n + 7, d, np.float64)
  distance = frechet_distance(x, y).value
  rotation = scipy.stats.ortho_group.rvs(d, random_state=1)
  np.testing.assert_allclose(
    [
      frechet_distance(x[::-1], random.permutation(y)).value,
      frechet_distance(y, x).value,
      frechet_distance(x @ rotation + 3, y @ rotation + 3).value,
      frechet_distance(2 * x, 2 * y).value / 4,
    ],
    distance,
    rtol=1e-9,
  )
  assert abs(frechet_distance(x, x).value) < 1e-9


@pytest.mark.parametrize(('n', 'm', 'd'), [(101, 83, 16), (30, 45, 64)])
def test_padded_and_sharded_equal_plain(random, mesh, n, m, d):
  x, y = features(random, n, m, d)
  plain = frechet_distance(x, y, std_error=True)
  rows_x, rows_y = (shard_rows(mesh, f) for f in (x, y))
  sharded = frechet_distance(rows_x, rows_y, std_error=True)
  np.testing.assert_allclose(sharded[:2], plain[:2], rtol=1e-9)


@pytest.mark.parametrize(('n', 'm', 'd'), [(300, 200, 16), (60, 60, 96)])
def test_std_error_is_the_spread_over_draws(random, n, m, d):
  results = [
    frechet_distance(*features(random, n, m, d), std_error=True)[:2]
    for _ in range(60)
  ]
  values, errors = np.array(results).T
  assert 0.7 < errors.mean() / values.std(ddof=1) < 1.6


@pytest.mark.parametrize('n', [5, 40])
def test_constant_features(n):
  x = np.ones((n, 8), np.float32)
  result = frechet_distance(x, 2 * x, std_error=True)
  np.testing.assert_allclose(result[:2], (8.0, 0.0), atol=1e-12)


def test_features_twice_are_twice_the_distance(random):
  x, y = features(random, 90, 70, 16)
  twice = frechet_distance(np.hstack([x, x]), np.hstack([y, y])).value
  np.testing.assert_allclose(twice, 2 * frechet_distance(x, y).value, rtol=1e-9)


def test_offset_costs_no_digits(random):
  x, y = features(random, 200, 150, 16, np.float64)
  x, y = np.round(x, 3), np.round(y, 3)
  np.testing.assert_allclose(
    frechet_distance(x + 2.0**14, y + 2.0**14).value,
    frechet_distance(x, y).value,
    rtol=1e-8,
  )


def test_bad_shapes_raise():
  with pytest.raises(ValueError, match=r'8 \(real\) and 9 \(generated\)'):
    frechet_distance(np.zeros((4, 8)), np.zeros((4, 9)))
  with pytest.raises(ValueError, match='at least 2 generated images, got 1'):
    frechet_distance(np.zeros((4, 8)), np.zeros((1, 8)))
  with pytest.raises(ValueError, match=r'must be \[n, d\]'):
    frechet_distance(np.zeros((4, 8, 1)), np.zeros((4, 8, 1)))


def test_needs_no_global_x64(random):
  assert not jax.config.jax_enable_x64
  assert isinstance(frechet_distance(*features(random, 9, 9, 4)).value, float)
