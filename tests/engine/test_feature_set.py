import functools
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax import metrics
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine import nearest
from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import as_feature_set, on_feature_sets
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.rows import Rows, shard_rows
from genmed_jax.errors import Undefined
from genmed_jax.metrics import frechet


def inception_score(x, y):
  del x
  return metrics.inception_score(y)


def vendi_score(x, y):
  del x
  return metrics.vendi_score(y)


KERNELS = [
  metrics.frechet_distance,
  metrics.kid,
  metrics.gaussian_mmd,
  metrics.cmmd,
  metrics.approximate_sliced_wasserstein,
  metrics.sliced_distances,
  metrics.prdc,
  inception_score,
  vendi_score,
]


def assert_close(found, expected, rtol):
  """Compares results of kernels, details and all."""

  def opened(tree):
    return jax.tree.map(
      lambda each: (
        each._replace(details=dict(each.details))
        if isinstance(each, metrics.Estimate)
        else each
      ),
      tree,
      is_leaf=lambda each: isinstance(each, metrics.Estimate),
    )

  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=rtol),
    opened(found),
    opened(expected),
  )


@pytest.mark.parametrize('kernel', KERNELS)
def test_rows_that_do_not_count_may_hold_anything(random, kernel):
  x, y = random.standard_normal((2, 40, 5)).astype(np.float32)
  count_x, count_y = random.random((2, 40)) < 0.7
  x[~count_x], y[~count_y] = np.nan, np.inf
  found = kernel(
    Rows(jnp.asarray(x), jnp.asarray(count_x)),
    Rows(jnp.asarray(y), jnp.asarray(count_y)),
  )
  assert_close(found, kernel(x[count_x], y[count_y]), rtol=1e-6)


@pytest.mark.parametrize('kernel', KERNELS)
def test_half_precision_loses_nothing_more(random, kernel):
  # Their squares are beyond half precision.
  x, y = (300 * random.standard_normal((2, 40, 5))).astype(np.float16)
  found, expected = kernel(x, y), kernel(np.float32(x), np.float32(y))
  assert_close(found, expected, rtol=1e-6)


@on_feature_sets
def counts(x, y, *, plus=0):
  return x.count + plus, y.count + plus


@on_feature_sets
def count(x):
  return x.count


@on_feature_sets(at_least=1)
def count_of_any(train, test):
  return train.count, test.count


SPOILT = [
  (lambda x: x[:, 0], r'must be \[n, d\], not \(6,\)'),
  (lambda x: x[:, :2], r'widths differ: 3 \(real\) and 2 \(generated\)'),
  (lambda x: x[:1], 'at least 2 generated images, got 1'),
  (lambda x: x[:0], 'at least 2 generated images, got 0'),
  (lambda x: np.where(x == x[4, 1], np.nan, x), 'generated features are not'),
  (lambda x: np.where(x == x[4, 1], np.inf, x), 'generated features are not'),
]


@pytest.mark.parametrize('wrap', [np.asarray, shard_rows, LocalFeatures])
@pytest.mark.parametrize(('spoil', 'complaint'), SPOILT)
def test_features_that_no_kernel_takes(random, wrap, spoil, complaint):
  x, y = random.standard_normal((2, 6, 3)).astype(np.float32)
  y = spoil(y)
  if wrap is not np.asarray:
    if y.ndim == 1:
      complaint = r'must be \[n, d\]'
    x, y = (wrap(mesh_lib.data_mesh(), each) for each in (x, y))
  with pytest.raises(ValueError, match=complaint):
    counts(x, y)


def test_what_is_said_of_other_sets(random):
  x = random.standard_normal((3, 6, 3))
  with pytest.raises(ValueError, match='^features are not finite'):
    count(np.full((3, 2), np.nan))
  with pytest.raises(Undefined, match='needs at least 2 images, got 1'):
    count(np.ones((1, 3)))
  with pytest.raises(Undefined, match='at least 1 test images, got 0'):
    count_of_any(x[0], x[1, :0])
  with pytest.raises(ValueError, match='training features are not finite'):
    count_of_any(np.nan * x[0], x[1])
  assert count_of_any(x[0, :1], x[1]) == (1, 6)


def test_sets_are_given_by_place_or_by_name(random):
  x, y = random.standard_normal((2, 6, 3))
  assert counts(y=y[:5], x=x) == counts(x, y=y[:5]) == counts(x, y[:5])
  assert counts(x, y, plus=2) == (8, 8)
  assert metrics.frechet_distance(x=x, y=y) == metrics.frechet_distance(x, y)
  with pytest.raises(TypeError):
    counts(x, y, 2)
  with pytest.raises(TypeError):
    counts(x)


@pytest.mark.parametrize(
  ('x64', 'dtype'), [(True, np.float64), (False, np.float32)]
)
def test_a_kernel_runs_in_the_precision_that_it_asks_for(x64, dtype):
  @on_feature_sets(x64=x64)
  def kernel(x):
    return x.rows.values.dtype, jnp.zeros(1).dtype

  # The features keep their own.
  assert kernel(np.ones((3, 2))) == (np.float64, dtype)
  assert not jax.config.jax_enable_x64


def as_rows_of_a_set(mesh, values):
  return FeatureSet(shard_rows(mesh, values))


KINDS = [LocalFeatures, as_rows_of_a_set]


@pytest.mark.parametrize('kind', KINDS)
def test_a_set_knows_itself(random, mesh, kind):
  values = np.float32(random.standard_normal((13, 3)))
  found = kind(mesh, values)
  assert (found.count, found.width, found.is_finite) == (13, 3, True)
  assert found.mesh == mesh
  np.testing.assert_array_equal(found.to_host(), values)
  values = values.copy()
  values[4, 1] = np.inf
  assert not kind(mesh, values).is_finite


@pytest.mark.parametrize('kind', KINDS)
def test_parts(random, mesh, kind):
  values = np.float32(random.standard_normal((13, 3)))
  whole = kind(mesh, values)
  part = whole.pick(np.array([7, 2, 11, 3]))
  assert (part.count, part.width) == (4, 3)
  np.testing.assert_array_equal(part.to_host(), values[[2, 3, 7, 11]])
  again = part.pick(np.array([3, 1]))
  np.testing.assert_array_equal(again.to_host(), values[[3, 11]])
  one, other = whole.draw(np.random.default_rng(1), 5, 6)
  order = np.random.default_rng(1).permutation(13)
  np.testing.assert_array_equal(one.to_host(), values[np.sort(order[:5])])
  np.testing.assert_array_equal(other.to_host(), values[np.sort(order[5:11])])


def test_rows_that_do_not_count_are_never_picked(random):
  values, mask = random.standard_normal((20, 3)), random.random(20) < 0.6
  found = FeatureSet(Rows(jnp.asarray(values), jnp.asarray(mask)))
  kept = np.float32(values[mask])
  assert found.count == len(kept)
  last = len(kept) - 1
  part = found.pick(np.array([last, 0, last - 2]))
  np.testing.assert_array_equal(part.to_host(), kept[[0, last - 2, last]])


def test_a_part_of_spoilt_features_may_be_sound(random):
  values = np.float32(random.standard_normal((13, 3)))
  values[4, 1] = np.nan
  whole = LocalFeatures(mesh_lib.data_mesh(), values)
  assert not whole.is_finite
  assert whole.part(np.arange(5, 13)).is_finite
  assert not whole.part(np.arange(3, 13)).is_finite


def test_outputs_are_sets_of_the_same_images(random, mesh):
  values = random.standard_normal((13, 3)).astype(np.float16)
  logits = random.standard_normal((13, 5))
  whole = LocalFeatures(mesh, values, {'logits': logits})
  assert whole.outputs == {'logits'}
  part = whole.part(np.array([1, 4, 9])).part(np.array([0, 2]))
  assert part.outputs == {'logits'}
  for found, items in ((whole, np.arange(13)), (part, [1, 9])):
    beside = found.output('logits')
    np.testing.assert_array_equal(beside.to_host(), logits[items])
    assert beside.rows.values.dtype == np.float64
    assert found.rows.values.dtype == np.float32
    assert beside.count == found.count == len(items)
  with pytest.raises(KeyError):
    whole.output('spatial')


def test_wholes_are_laid_out_for_good():
  whole = LocalFeatures(mesh_lib.data_mesh(), np.ones((20, 3)))
  values = whole.rows.values
  with whole.in_use():
    assert whole.rows.values is values
  assert whole.rows.values is values


def test_parts_are_laid_out_while_in_use(random):
  values = np.float32(random.standard_normal((20, 3)))
  part = LocalFeatures(mesh_lib.data_mesh(), values).pick(np.arange(4, 9))
  with part.in_use():
    with part.in_use():
      gone = weakref.ref(part.rows.values)
      assert part.rows.values is part.rows.values
    assert part.rows.values is gone()
    assert part.rows.mask.sum() == 5
  assert gone() is None
  assert part.rows.values is not part.rows.values
  np.testing.assert_array_equal(part.to_host(), values[4:9])


@pytest.mark.parametrize('fails', [False, True])
def test_a_kernel_uses_its_parts_until_it_is_done(fails):
  seen = []

  @on_feature_sets
  def kernel(x, y):
    for each in (x, y):
      assert each.rows.values is each.rows.values
      seen.append(weakref.ref(each.rows.values))
    if fails:
      raise Undefined('failed')

  whole = LocalFeatures(mesh_lib.data_mesh(), np.ones((20, 3)))
  parts = whole.draw(np.random.default_rng(0), 6, 7)
  if fails:
    with pytest.raises(Undefined, match='failed'):
      kernel(*parts)
  else:
    kernel(*parts)
  assert [each() for each in seen] == [None, None]


def test_what_is_computed_of_a_set_is_kept():
  calls = []

  def sum_of(x, *, times=1, plus=0):
    calls.append((x.count, times, plus))
    return times * x.to_host().sum() + plus

  def other(x):
    return x.count

  whole = LocalFeatures(mesh_lib.data_mesh(), np.ones((20, 3)))
  part = whole.part(np.arange(5))
  for _ in range(2):
    assert whole.get(sum_of) == 60
    assert whole.get(sum_of, times=2, plus=1) == 121
    assert whole.get(sum_of, plus=1, times=2) == 121
    assert whole.get(other) == 20
    assert part.get(sum_of) == 15
  assert calls == [(20, 1, 0), (20, 2, 1), (5, 1, 0)]


def test_a_set_that_is_given_twice_is_fitted_once(random, monkeypatch):
  calls = []
  monkeypatch.setattr(
    frechet,
    'moments',
    lambda rows, moments=frechet.moments: calls.append(rows) or moments(rows),
  )
  x, y, z = map(as_feature_set, random.standard_normal((3, 40, 5)))
  assert as_feature_set(x) is x
  first = metrics.frechet_distance(x, y)
  metrics.frechet_distance(x, z)
  assert metrics.frechet_distance(x, y) == first
  metrics.frechet_distance_infinity(x, y)
  assert len(calls) == 3


def test_a_set_that_is_given_twice_is_searched_once(random, monkeypatch):
  calls = []
  search = nearest._own_nearest

  def counted(*args, **options):
    calls.append(args)
    return search(*args, **options)

  monkeypatch.setattr(nearest, '_own_nearest', counted)
  x, y, z = map(as_feature_set, random.standard_normal((3, 40, 5)))
  metrics.neighbourhoods(x, y)
  metrics.prdc(x, z)
  metrics.prdc(z, y)
  assert len(calls) == 3
  metrics.prdc(x, y, k=4)
  assert len(calls) == 5
