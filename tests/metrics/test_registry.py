import numpy as np
import pytest

from genmed_jax import mesh as mesh_lib
from genmed_jax import metrics
from genmed_jax.features import Features


def features(name, values, **beside):
  count = len(values)
  ids = [str(i) for i in range(count)]
  return Features(name, values, beside, np.arange(count), ids, {})


def feature_set(name, values, **beside):
  return metrics.FeatureSet(
    mesh_lib.data_mesh(), features(name, values, **beside)
  )


@pytest.fixture
def comparison(random):
  def make(n=60, m=50, bootstrap=200, train=None):
    x, y = (np.float32(random.standard_normal((k, 8))) for k in (n, m))
    logits = np.float32(random.standard_normal((m, 5)))
    spatial = {'spatial': x[:, :3]}, {'spatial': y[:, :3]}
    return metrics.Comparison(
      feature_set('real', x, logits=logits[:1].repeat(n, 0), **spatial[0]),
      feature_set('generated', y, logits=logits, **spatial[1]),
      train,
      bootstrap=bootstrap,
    )

  return make


@pytest.mark.parametrize('name', metrics.METRICS)
def test_every_metric_has_value_interval_and_floor(comparison, name):
  compared = comparison()
  score = metrics.score(name, compared)
  assert np.isfinite(score.value)
  assert score.interval.low <= score.value <= score.interval.high
  assert np.isfinite(metrics.floor(name, compared.halves()))


@pytest.mark.parametrize('name', metrics.METRICS)
def test_no_bootstrap_no_interval(comparison, name):
  assert metrics.score(name, comparison(bootstrap=0)).interval is None


def test_too_few_images_give_a_note(comparison):
  score = metrics.score('precision', comparison(m=4))
  assert score.value is None
  assert score.notes == ('needs at least 6 generated images, got 4',)
  assert metrics.per_image(comparison(m=4)) is None


def test_train_is_what_authpct_is_about(comparison):
  compared = comparison()
  copied = feature_set('train', compared.generated.features.values)
  score = metrics.score('authpct', comparison(train=copied))
  note = 'the reference stands for the training images'
  assert note not in score.notes
  assert note in metrics.score('authpct', compared).notes


def test_halves_are_disjoint_and_seeded(comparison):
  compared = comparison(n=61)
  one, other = compared.halves(), compared.halves()
  halves = one.reference.features.values
  np.testing.assert_array_equal(halves, other.reference.features.values)
  assert one.counts == (30, 30)
  rest = one.generated.features.values
  assert not (halves[:, None] == rest).all(-1).any()


def test_halves_are_no_larger_than_the_generated_set(comparison):
  assert comparison(n=60, m=20).halves().counts == (20, 20)


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
