"""Published findings, as effect sizes on the phantom."""

import pytest

from genmed_jax import options
from genmed_jax.study.design import StudyConfig
from genmed_jax.study.findings import outcomes
from genmed_jax.study.run import prepare
from genmed_jax.study.verdicts import Effect


@pytest.fixture(scope='module')
def effects(tmp_path_factory):
  """Of 80 phantom slices in each set, by family and metric."""
  config = options.build(
    StudyConfig,
    {
      'reference': 'phantom:brain?n=420&size=64&tumours=1&contrast=t1',
      'families': 'gaussian,rician,boundary_blur,radial_gradient,'
      'external_duplication,internal_duplication',
      'levels': (
        'gaussian:0.2,0.4',
        'rician:0.1,0.2',
        'boundary_blur:3',
        'radial_gradient:3',
        'external_duplication:45',
        'internal_duplication:45',
      ),
      'seeds': 1,
      'images': 80,
      'features': 'inception_v3_random:64',
      'metrics': 'fd,kid,precision,recall,density,coverage,authpct,memorised,'
      'roi_sharpness,roi_texture',
      'cache_dir': str(tmp_path_factory.mktemp('study')),
    },
  )
  return prepare(config).run().effects


@pytest.fixture
def effect(effects):
  found = {(each.family, each.metric): each for each in effects}
  return lambda *key: found[key]


@pytest.mark.parametrize('noise', ['gaussian', 'rician'])
def test_distances_rise_with_noise(effect, noise):
  for metric in ('fd', 'kid'):
    first, last = effect(noise, metric).worse
    assert 2 < first < last


def test_manifold_metrics_saturate_under_noise(effect):
  for metric in ('precision', 'recall', 'density', 'coverage'):
    values = effect('gaussian', metric).values
    assert max(values) < 0.1
    assert effect('gaussian', metric).verdict == 'saturates'


def test_noise_passes_for_authenticity(effect):
  assert effect('gaussian', 'authpct').verdict == 'wrong direction'


def test_copies_of_training_images_are_seen_by_memorisation_alone(effect):
  assert effect('external_duplication', 'authpct').worse[0] > 2
  assert effect('external_duplication', 'memorised').worse[0] > 5
  for metric in ('fd', 'kid', 'precision', 'density', 'coverage'):
    assert effect('external_duplication', metric).worse[0] < 2


def test_copies_within_the_set_are_hardly_seen(effect):
  for metric in ('fd', 'kid', 'precision', 'density', 'authpct'):
    assert effect('internal_duplication', metric).worse[0] < 2


@pytest.mark.parametrize('damage', ['boundary_blur', 'radial_gradient'])
def test_local_damage_is_seen_in_the_region_alone(effect, damage):
  for metric in ('fd', 'kid', 'precision', 'recall', 'density', 'coverage'):
    assert abs(effect(damage, metric).worse[0]) < 2
  for metric in ('roi_sharpness', 'roi_texture'):
    assert effect(damage, metric).worse[0] > 3


@pytest.mark.parametrize(
  'claim',
  [
    'Fréchet and kernel distances rise with Gaussian and Rician noise',
    'AuthPct falls and the memorisation index rises',
    'Whole-image metrics barely move when only a region is damaged',
  ],
)
def test_findings_are_held_against_effects(effects, claim):
  (found,) = (
    each for each in outcomes(effects) if each.finding.text.startswith(claim)
  )
  assert found.verdict == 'holds'
  assert not found.against


def an_effect(family, metric, change=1.0, verdict='responds', z=3.0):
  numbers = (0.0,), (0.0,), 0.0, (change,), (z,), (z,), 0.0, None
  return Effect(family, 'net', metric, 'lower', (1.0,), *numbers, verdict)


@pytest.mark.parametrize(
  ('claim', 'seen', 'verdict'),
  [
    ('The loss of classes', [('mode_collapse', 'fd', -3.0)], 'holds'),
    ('The loss of classes', [('mode_collapse', 'fd', 3.0)], 'does not hold'),
    ('AuthPct rises', [('mode_invention', 'authpct', 2.0)], 'holds'),
    ('Vendi scores', [('rician', 'vendi', 1.0, 'no', 0.5)], 'holds'),
    (
      'Vendi scores',
      [('rician', 'vendi', 1.0, 'no', 0.5), ('gaussian', 'fd_inf')],
      'holds in part',
    ),
    (
      'The Inception Score',
      [('gaussian', 'is', 1.0, 'no response'), ('rician', 'is')],
      'holds',
    ),
    (
      'The Inception Score',
      [('gaussian', 'is'), ('rician', 'is'), ('poisson', 'is')],
      'does not hold',
    ),
  ],
)
def test_verdicts_on_findings(claim, seen, verdict):
  (found,) = (
    each
    for each in outcomes([an_effect(*each) for each in seen])
    if each.finding.text.startswith(claim)
  )
  assert found.verdict == verdict
