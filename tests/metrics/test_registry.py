import dataclasses
import functools
import importlib
import pkgutil

import numpy as np
import pytest

from genmed_jax import metrics
from genmed_jax.engine.feature_set import OUTPUTS, PIXELS
from genmed_jax.errors import Undefined, UsageError
from genmed_jax.metrics.base import FEATURES
from genmed_jax.metrics.regions import CROPS, STATISTICS
from genmed_jax.metrics.registry import check_offered, defined_on, floor
from tests.metrics.sets import comparison, feature_set


def compared(x, y, **options):
  return metrics.Comparison(feature_set(x), feature_set(y), **options)


@pytest.mark.parametrize('name', metrics.METRICS)
def test_every_metric_has_value_interval_and_floor(name):
  score = metrics.score(name, comparison())
  assert np.isfinite(score.value)
  assert score.interval.low <= score.value <= score.interval.high
  metric = metrics.METRICS[name]
  if metric.reads in (CROPS, STATISTICS):  # Features, in a space of regions.
    metric = dataclasses.replace(metric, reads=FEATURES)
  found = floor(metric, comparison())
  if name == 'ct_mem':  # Its cells hold too few of a hundred images.
    assert found.value is None
    assert 'no cell has more than 20' in found.notes[0]
    return
  assert np.isfinite([*found[:5]]).all()
  assert found.n == 100


@pytest.mark.parametrize('name', metrics.METRICS)
def test_every_column_has_a_value_for_each_generated_image(name):
  for column in metrics.METRICS[name].columns:
    values = column.values(comparison())
    assert values.shape == (200,), column.name
    assert np.isfinite(values).all(), column.name
    if column.indexes_train:
      assert np.issubdtype(values.dtype, np.integer), column.name
      assert values.min() >= 0, column.name
      assert values.max() < comparison().train.count, column.name


def test_declarations_do_not_clash():
  every = [
    metric
    for module in pkgutil.iter_modules(metrics.__path__)
    if module.name != 'registry'
    for metric in getattr(
      importlib.import_module(f'{metrics.__name__}.{module.name}'),
      'METRICS',
      (),
    )
  ]
  names = sorted(metric.name for metric in every)
  assert names == sorted(metrics.METRICS)
  aliases = [metric.alias.name for metric in every if metric.alias]
  assert not set(aliases) & set(metrics.METRICS)
  columns = [column.name for metric in every for column in metric.columns]
  for names in (aliases, columns):
    assert len(set(names)) == len(names)
  known = {FEATURES, *OUTPUTS, PIXELS, CROPS, STATISTICS}
  assert {metric.reads for metric in every} == known


def test_metrics_stand_by_aspect_and_headlines_first():
  order = [(m.aspect, not m.headline) for m in metrics.METRICS.values()]
  assert order == sorted(order)


@pytest.mark.parametrize('name', metrics.METRICS)
def test_no_bootstrap_no_interval(name):
  assert metrics.score(name, comparison(bootstrap=0)).interval is None


def test_too_few_images_give_a_note():
  score = metrics.score('precision', comparison(m=4))
  assert score.value is None
  assert score.notes == ('needs at least 6 generated images, got 4',)
  assert floor('precision', comparison(m=4)).value is None
  (column,) = metrics.METRICS['precision'].columns
  with pytest.raises(Undefined, match='got 4'):
    column.values(comparison(m=4))


def test_no_floor_without_the_output_that_is_read(random):
  bare = compared(*random.standard_normal((2, 20, 3)))
  assert floor('is', bare).value is None
  assert floor('sfid', bare).value is None
  assert floor('predicted_dice', bare).value > 0


def test_metrics_are_named_or_given():
  metric = metrics.METRICS['asw']
  assert metrics.score(metric, comparison()) == metrics.score(
    'asw', comparison()
  )
  assert floor(metric, comparison()) == floor('asw', comparison())


def test_float64_features_keep_their_digits(random):
  x, y = random.standard_normal((2, 50, 6)) * 2.0**-10 + 2.0**10

  def fd_of(x, y):
    both = compared(x, y)
    assert 'copies' not in str(metrics.score('authpct', both).notes)
    return metrics.score('fd', both).value

  np.testing.assert_allclose(fd_of(x, y), fd_of(x - 1024, y - 1024), rtol=1e-6)


@pytest.mark.parametrize('size', [1e-20, 1e20, 1e120])
@pytest.mark.parametrize('name', ['fd', 'mmd_poly', 'precision', 'vendi'])
def test_features_beyond_single_precision_are_refused(random, name, size):
  x = np.float32(random.standard_normal((20, 4))) * np.float64(size)
  score = metrics.score(name, compared(x, -x))
  assert score.value is None
  assert 'are allowed: scale them' in score.notes[0]


def test_overflow_is_a_note_not_a_number(random):
  x = np.float32(random.standard_normal((20, 4)) * 1e13)
  score = metrics.score('mmd_poly', compared(x, -x))
  assert score.value is None
  assert score.notes == ('overflows: the features are too large',)


@pytest.mark.parametrize(
  ('names', 'expected'),
  [
    ('fd, kid,fd', ['fd', 'kid']),
    (['fd', ' kid', 'fd'], ['fd', 'kid']),
    (('fid', 'fd'), ['fid', 'fd']),
    ('all', list(metrics.METRICS)),
    (['all', 'fd'], list(metrics.METRICS)),
  ],
)
def test_select(names, expected):
  assert metrics.select(names) == expected


@pytest.mark.parametrize('names', ['', ' , ', []])
def test_select_nothing(names):
  with pytest.raises(ValueError, match='`metrics` is empty; it takes all, or'):
    metrics.select(names)


@pytest.mark.parametrize('names', ['fd,precison', ('fd', 'precison')])
def test_select_tells_the_nearest_name(names):
  with pytest.raises(ValueError, match="'precison'; did you mean 'precision'"):
    metrics.select(names)
  with pytest.raises(UsageError, match="'fidd'; did you mean 'fid'.*all, fd"):
    metrics.select('fidd')


@pytest.mark.parametrize(
  ('names', 'outputs', 'earned', 'expected'),
  [
    ('fd,kid', (), (), {'fd': 'fd', 'kid': 'kid'}),
    ('fd,kid', (), {'fid'}, {'fid': 'fd', 'kid': 'kid'}),
    ('fid', (), {'fid'}, {'fid': 'fd'}),
    ('fid', (), (), {}),
    ('fid,fd', (), {'fid'}, {'fid': 'fd'}),
    ('fid,fd', (), (), {'fd': 'fd'}),
    (('sfid', 'is', 'fd'), {'logits'}, (), {'is': 'is', 'fd': 'fd'}),
    ('predicted_dice', OUTPUTS, (), {'predicted_dice': 'predicted_dice'}),
    ('predicted_dice', (), {'fid'}, {}),
  ],
)
def test_metrics_that_a_network_offers(names, outputs, earned, expected):
  found = defined_on(names, outputs, earned)
  assert list(found) == list(expected)
  for name, key in expected.items():
    assert found[name] is metrics.METRICS[key]


def test_all_is_what_the_outputs_allow():
  everything = *OUTPUTS, PIXELS, CROPS, STATISTICS
  assert defined_on('all', everything) == metrics.METRICS
  bare = defined_on('all', ())
  missing = {'is', 'sfid', 'predicted_dice', 'copies'}
  of_regions = {name for name in metrics.METRICS if name.startswith('roi_')}
  assert set(bare) == set(metrics.METRICS) - missing - of_regions


@pytest.mark.parametrize(
  ('names', 'complaint'),
  [
    ('fd,fid', 'fid is defined on inception_v3 .* not on one, two; ask for fd'),
    ('kid,sfid', 'sfid needs spatial, which one, two lack'),
    (('predicted_dice',), 'predicted_dice needs predicted_dice, which one'),
  ],
)
def test_a_named_metric_is_defined_somewhere(names, complaint):
  outputs = {'one': (), 'two': ('logits',)}
  offered = {name: defined_on(names, has) for name, has in outputs.items()}
  with pytest.raises(UsageError, match=complaint):
    check_offered(names, offered)


@pytest.mark.parametrize('names', ['fid,fd,is', ['fid'], ('is',), 'fd', 'all'])
def test_somewhere_is_enough(names):
  offered = {
    'one': defined_on(names, ()),
    'two': defined_on(names, ('logits',)),
    'three': defined_on(names, (), {'fid'}),
  }
  check_offered(names, offered)


def test_all_asks_for_nothing():
  check_offered('all', {'one': {}})
  check_offered('all', {})


# Of the generated set alone, or of other outputs.
_OF_ONE_SET = (
  'vendi vendi_0.5 vendi_inf rke is sfid predicted_dice copies '
  'roi_sharpness roi_texture'
).split()


@pytest.mark.parametrize(
  'name', [name for name in metrics.METRICS if name not in _OF_ONE_SET]
)
def test_widths_that_differ(name):
  x, y = np.zeros((9, 4), np.float32), np.zeros((9, 5), np.float32)
  with pytest.raises(ValueError, match='feature widths differ: .*4') as found:
    metrics.score(name, compared(x, y))
  assert not isinstance(found.value, Undefined)
  if name == 'fd':
    assert str(found.value).endswith('differ: 4 (real) and 5 (generated)')


# What leaves a metric as it is, for sets of one kind of features.
_ANY_ORDER = (
  'fd asw sw1 sw2 mind vendi vendi_0.5 vendi_inf rke precision recall density '
  'coverage clipped_density clipped_coverage realism authpct mmd_poly '
  'mmd_rbf10'
).split()
_POWER_OF_SCALE = {
  **dict.fromkeys(('fd', 'fd_inf', 'mind'), 2),
  **dict.fromkeys(('asw', 'sw1', 'sw2'), 1),
  **dict.fromkeys(('vendi', 'vendi_0.5', 'vendi_inf', 'rke'), 0),
  **dict.fromkeys(('precision', 'recall', 'density', 'coverage'), 0),
  **dict.fromkeys(('clipped_density', 'clipped_coverage', 'realism'), 0),
  **dict.fromkeys(('authpct', 'memorised', 'mmd_rbf'), 0),
  'mmd_rbf10': 0,
  **dict.fromkeys(('ct', 'ct_mode', 'ct_mem'), 0),
  **dict.fromkeys(('fls', 'fld', 'fld_train', 'fld_gap'), 0),
}
_ANY_ROTATION = (
  'fd fd_inf mmd_poly mmd_rbf asw vendi rke precision recall '
  'density coverage clipped_density clipped_coverage realism authpct '
  'memorised mmd_rbf10'
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
  return compared(*map(change, pair()), bootstrap=0)


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
  equal = compared(x, x, bootstrap=0)
  expected = {
    **dict.fromkeys(('fd', 'asw', 'sw1', 'sw2', 'mind', 'authpct'), 0.0),
    'mmd_rbf10': 0.0,
    **dict.fromkeys(('precision', 'recall', 'coverage'), 1.0),
    **dict.fromkeys(('clipped_density', 'clipped_coverage'), 1.0),
  }
  found = {name: metrics.score(name, equal).value for name in expected}
  assert found == pytest.approx(expected, abs=0.01)


def test_a_huge_offset_changes_nothing(random):
  x = np.float32(random.integers(-512, 512, (240, 6)) / 256)
  y = np.float32(random.integers(-600, 600, (200, 6)) / 256)
  near, far = (compared(x + by, y + by, bootstrap=0) for by in (0, 2**13))
  for name in 'fd mmd_rbf asw sw2 precision coverage realism'.split():
    found, expected = (metrics.score(name, each).value for each in (far, near))
    np.testing.assert_allclose(found, expected, rtol=1e-4, err_msg=name)
