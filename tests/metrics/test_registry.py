import functools
import weakref

import numpy as np
import pytest

from genmed_jax import metrics
from genmed_jax.data.features import Features
from genmed_jax.engine import mesh as mesh_lib


def features(name, values, **beside):
  count = len(values)
  ids = [str(i) for i in range(count)]
  return Features(name, values, beside, np.arange(count), ids, {})


def feature_set(name, values, **beside):
  dice = np.linspace(0.2, 0.9, len(values), dtype=np.float32)[:, None]
  beside = {'predicted_dice': dice} | beside
  return metrics.FeatureSet(
    mesh_lib.data_mesh(), features(name, values, **beside)
  )


@functools.cache
def comparison(n=240, m=200, bootstrap=200, train=None):
  """One for all metrics: what they share of it is computed once."""
  random = np.random.default_rng(0)
  x, y = (np.float32(random.standard_normal((k, 6))) for k in (n, m))
  logits = np.float32(random.standard_normal((m, 5)))
  spatial = {'spatial': x[:, :3]}, {'spatial': y[:, :3]}
  return metrics.Comparison(
    feature_set('real', x, logits=logits[:1].repeat(n, 0), **spatial[0]),
    feature_set('generated', y, logits=logits, **spatial[1]),
    train,
    bootstrap=bootstrap,
  )


@pytest.mark.parametrize('name', metrics.METRICS)
def test_every_metric_has_value_interval_and_floor(name):
  compared = comparison()
  score = metrics.score(name, compared)
  assert np.isfinite(score.value)
  assert score.interval.low <= score.value <= score.interval.high
  assert np.isfinite(metrics.floor(name, compared.halves))


@pytest.mark.parametrize('name', metrics.METRICS)
def test_no_bootstrap_no_interval(name):
  assert metrics.score(name, comparison(bootstrap=0)).interval is None


def test_too_few_images_give_a_note():
  score = metrics.score('precision', comparison(m=4))
  assert score.value is None
  assert score.notes == ('needs at least 6 images, got 4',)
  assert metrics.per_image(comparison(m=4)) is None


def test_train_is_what_authpct_is_about():
  compared = comparison()
  copied = feature_set('train', compared.generated.to_host())
  score = metrics.score('authpct', comparison(train=copied))
  note = 'the reference stands for the training images'
  assert note not in score.notes
  assert note in metrics.score('authpct', compared).notes


def test_halves_are_disjoint_and_seeded():
  compared = comparison(n=61)
  again = metrics.Comparison(compared.reference, compared.generated)
  one, other = compared.halves, again.halves
  halves = one.reference.to_host()
  np.testing.assert_array_equal(halves, other.reference.to_host())
  assert one.counts == (30, 30)
  rest = one.generated.to_host()
  assert not (halves[:, None] == rest).all(-1).any()


def test_parts_are_laid_out_while_in_use_and_wholes_for_good():
  whole = comparison(n=20).reference
  assert whole.rows.values is whole.rows.values
  part = whole.pick(np.arange(4, 9))
  values = part.rows.values
  assert part.rows.values is values
  assert part.rows.mask.sum() == 5
  gone = weakref.ref(values)
  del values
  assert gone() is None
  np.testing.assert_array_equal(part.to_host(), whole.to_host()[4:9])


def test_halves_are_no_larger_than_the_generated_set():
  assert comparison(n=60, m=20).halves.counts == (20, 20)


def test_float64_features_keep_their_digits(random):
  x, y = random.standard_normal((2, 50, 6)) * 2.0**-10 + 2.0**10

  def fd_of(x, y):
    compared = metrics.Comparison(
      feature_set('real', x), feature_set('fake', y)
    )
    assert 'exact copies' not in str(metrics.score('authpct', compared).notes)
    return metrics.score('fd', compared).value

  np.testing.assert_allclose(fd_of(x, y), fd_of(x - 1024, y - 1024), rtol=1e-6)


def test_overflow_is_a_note_not_a_number(random):
  x = np.float32(random.standard_normal((20, 4))) * np.float64(1e120)
  compared = metrics.Comparison(feature_set('real', x), feature_set('fake', -x))
  score = metrics.score('mmd_poly', compared)
  assert score.value is None
  assert score.notes == ('overflows: the features are too large',)


def test_select():
  assert metrics.select('fd, kid,fd') == ['fd', 'kid']
  assert metrics.select('all') == list(metrics.METRICS)
  with pytest.raises(ValueError, match="'precison'; did you mean 'precision'"):
    metrics.select('fd,precison')


def test_widths_that_differ(random):
  x, y = np.zeros((9, 4), np.float32), np.zeros((9, 5), np.float32)
  with pytest.raises(ValueError, match='real has 4, fake 5'):
    metrics.Comparison(feature_set('real', x), feature_set('fake', y))


# What leaves a metric as it is, for sets of one kind of features.
_ANY_ORDER = (
  'fd asw sw1 sw2 mind vendi vendi_0.5 vendi_inf rke precision recall density '
  'coverage clipped_density clipped_coverage realism authpct mmd_poly'
).split()
_POWER_OF_SCALE = {
  **dict.fromkeys(('fd', 'fd_inf', 'mind'), 2),
  **dict.fromkeys(('asw', 'sw1', 'sw2'), 1),
  **dict.fromkeys(('vendi', 'vendi_0.5', 'vendi_inf', 'rke'), 0),
  **dict.fromkeys(('precision', 'recall', 'density', 'coverage'), 0),
  **dict.fromkeys(('clipped_density', 'clipped_coverage', 'realism'), 0),
  **dict.fromkeys(('authpct', 'memorised', 'relative_fd', 'mmd_rbf'), 0),
  **dict.fromkeys(('ct', 'ct_mode', 'ct_mem'), 0),
  **dict.fromkeys(('fls', 'fld', 'fld_train', 'fld_gap'), 0),
}
_ANY_ROTATION = (
  'fd fd_inf relative_fd mmd_poly mmd_rbf asw vendi rke precision recall '
  'density coverage clipped_density clipped_coverage realism authpct memorised'
).split()


def pair():
  random = np.random.default_rng(0)
  x, y = random.standard_normal((2, 240, 6)) * np.linspace(1, 2, 6) + 0.5
  return np.float32(x), np.float32(y[:200] * 1.1 + 0.3)


def shuffled(x):
  return np.random.default_rng(1).permutation(x)


def scaled(x):
  return 4 * x


def rotated(x):
  normal = np.random.default_rng(1).standard_normal((6, 6))
  return x @ np.linalg.qr(normal)[0]


@functools.cache
def compared_after(change):
  return metrics.Comparison(
    *map(feature_set, ('real', 'fake'), map(change, pair())), bootstrap=0
  )


def values(name, change):
  """Of a metric, before and after a change of both sets."""
  return (
    metrics.score(name, compared_after(each)).value
    for each in (np.asarray, change)
  )


@pytest.mark.parametrize('name', _ANY_ORDER)
def test_row_order_does_not_matter(name):
  before, after = values(name, shuffled)
  np.testing.assert_allclose(after, before, rtol=1e-5)


@pytest.mark.parametrize(('name', 'power'), _POWER_OF_SCALE.items())
def test_scale(name, power):
  before, after = values(name, scaled)
  np.testing.assert_allclose(after, before * 4.0**power, rtol=1e-4)


@pytest.mark.parametrize('name', _ANY_ROTATION)
def test_rotation(name):
  before, after = values(name, rotated)
  np.testing.assert_allclose(after, before, rtol=1e-4)


def test_equal_sets():
  x, _ = pair()
  compared = metrics.Comparison(
    feature_set('real', x), feature_set('fake', x), bootstrap=0
  )
  expected = {
    **dict.fromkeys(('fd', 'asw', 'sw1', 'sw2', 'mind', 'authpct'), 0.0),
    **dict.fromkeys(('precision', 'recall', 'coverage'), 1.0),
    **dict.fromkeys(('clipped_density', 'clipped_coverage'), 1.0),
  }
  found = {name: metrics.score(name, compared).value for name in expected}
  assert found == pytest.approx(expected, abs=0.01)


def adversaries(random):
  x = np.float32(random.standard_normal((240, 6)))
  one = np.tile(x[:1], (200, 1))
  y = 1.1 * x[:200]
  at = np.arange(6)
  return {
    'constant': (np.ones_like(x), 2 * np.ones_like(y)),
    'one image, repeated': (x, one),
    'all images one': (np.tile(one[:1], (240, 1)), one),
    'zeros': (np.zeros_like(x), y),
    'two images': (x[:2], x[2:4]),
    'a huge offset': (x + 1e4, y + 1e4),
    'float16': (np.float16(x), np.float16(y)),
    'constant features': (x * (at != 5), y * (at % 3 != 2)),
  }


@pytest.mark.parametrize('case', adversaries(np.random.default_rng(0)))
def test_adversaries_get_a_value_or_a_reason(random, case):
  x, y = adversaries(random)[case]
  compared = metrics.Comparison(
    feature_set('real', x), feature_set('fake', y), bootstrap=20
  )
  for name in set(metrics.METRICS) - {'is', 'sfid'}:
    score = metrics.score(name, compared)
    if score.value is None:
      assert score.notes, name
    else:
      assert np.isfinite(score.value), name
      assert np.isfinite(score.interval).all(), name


def test_a_huge_offset_changes_nothing(random):
  x = np.float32(random.integers(-512, 512, (240, 6)) / 256)
  y = np.float32(random.integers(-600, 600, (200, 6)) / 256)
  near, far = (
    metrics.Comparison(
      feature_set('real', x + by), feature_set('fake', y + by), bootstrap=0
    )
    for by in (0, 2**13)
  )
  for name in 'fd mmd_rbf asw sw2 precision coverage realism'.split():
    found, expected = (metrics.score(name, each).value for each in (far, near))
    np.testing.assert_allclose(found, expected, rtol=1e-4, err_msg=name)
