import jax
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.rows import shard_rows
from genmed_jax.errors import Undefined
from genmed_jax.metrics import (
  feature_likelihood_divergence,
  feature_likelihood_score,
)
from tests import references


@pytest.fixture
def sets(random):
  law = random.standard_normal((10, 10))
  real = random.standard_normal((4, 61, 10)) @ law + 3
  return [*real[:3], 1.1 * real[3] + 0.2]


def test_fls_equals_reference(sets, mesh):
  rows = (shard_rows(mesh, np.float32(f)) for f in sets)
  found = feature_likelihood_score(*rows)
  expected = references.fls(*sets)
  np.testing.assert_allclose(found.value, expected, rtol=1e-4)


def test_fld_equals_reference(sets, mesh):
  train, _, test, y = sets
  rows = (shard_rows(mesh, np.float32(f)) for f in (train, test, y))
  found = feature_likelihood_divergence(*rows, seed=4)
  order = np.random.default_rng(4).permutation(len(train))
  expected = references.fld(train, test, y, order)
  np.testing.assert_allclose(
    [each.value for each in found], expected, rtol=2e-3
  )


def test_memorised_images_make_held_out_ones_unlikely(sets):
  train, other, test, _ = sets
  copied = feature_likelihood_divergence(train, test, train)
  honest = feature_likelihood_divergence(train, test, other)
  assert copied.gap.value < -100 < honest.gap.value
  assert copied.test.value > honest.test.value


def test_affine_maps_of_single_features_change_nothing(sets, random):
  scale, shift = random.random(10) + 0.5, random.standard_normal(10)
  train, _, test, y = sets
  for found, plain in zip(
    feature_likelihood_divergence(
      *(scale * f + shift for f in (train, test, y))
    ),
    feature_likelihood_divergence(train, test, y),
    strict=True,
  ):
    np.testing.assert_allclose(found.value, plain.value, rtol=1e-3)


def test_constant_features_are_left_out(sets):
  constant = [np.hstack([f, np.ones((len(f), 1))]) for f in sets]
  assert np.isfinite(feature_likelihood_score(*constant).value)


@pytest.mark.parametrize('constant', [0.1, 0.3])
def test_the_rounding_of_a_constant_is_no_deviation(sets, random, constant):
  """Of a feature that only varies among generated images."""
  train, _, test, y = map(np.float64, sets)
  made = 1e-3 * random.standard_normal((len(y), 1))

  def fld(c):
    real = (np.hstack([f, np.full((len(f), 1), c)]) for f in (train, test))
    return feature_likelihood_divergence(*real, np.hstack([y, c + made]))

  found, expected = (fld(c).test.value for c in (constant, 0.125))
  np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_sets_too_far_apart_are_refused(sets):
  train, _, test, y = map(np.float64, sets)
  with pytest.raises(Undefined, match='too far apart'):
    feature_likelihood_divergence(train, test, y + 1e20)


def test_sets_that_cannot_be_scored(sets):
  with pytest.raises(ValueError, match='at least 2 generated images, got 1'):
    feature_likelihood_score(*sets[:3], sets[3][:1])
  with pytest.raises(ValueError, match=r'differ: 10 \(training\) .* 4 \(gen'):
    feature_likelihood_score(*sets[:3], sets[3][:, :4])
  with pytest.raises(ValueError, match='4 training images'):
    feature_likelihood_divergence(sets[0][:3], sets[2], sets[3])
  sets[3][5, 2] = np.nan
  with pytest.raises(ValueError, match='generated features are not finite'):
    feature_likelihood_score(*sets)


def test_a_mesh_is_not_needed(sets):
  assert mesh_lib.data_mesh().devices.size == 4
  with jax.enable_x64(True):
    rows = [shard_rows(mesh_lib.data_mesh(), f) for f in sets]
  one, other = (feature_likelihood_score(*each) for each in (sets, rows))
  np.testing.assert_allclose(one.value, other.value)
