import numpy as np
import pytest

from genmed_jax.data.formats import arrays
from genmed_jax.study.conditions import Condition, conditions, constants
from genmed_jax.study.design import StudyConfig


def source(n=12, masks=True, **labels):
  images = np.zeros((n, 8, 8), np.uint8)
  given = np.ones((n, 8, 8), bool) if masks else None
  return arrays.stack('set', images, 'stamp {}'.format, labels, given)


def test_conditions_are_those_the_source_allows():
  plain = {
    c.family for c in conditions(source(masks=False), StudyConfig(reference=''))
  }
  assert plain == {
    'gaussian',
    'rician',
    'poisson',
    'external_duplication',
    'internal_duplication',
  }
  labels = {
    'class': np.array(list('abc') * 4),
    'scanner': np.array(list('AB') * 6),
  }
  labels['contrast'] = np.full(12, 't2')
  full = conditions(source(**labels), StudyConfig(reference=''))
  assert len({c.family for c in full}) == 10
  config = StudyConfig(
    reference='',
    families=('gaussian', 'density_shift'),
    levels=('gaussian:0.2,0.3',),
  )
  chosen = conditions(source(**labels), config)
  assert chosen[:2] == [Condition('gaussian', 0.2), Condition('gaussian', 0.3)]
  assert len(chosen) == 6


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'families': ('gausian',)}, "did you mean 'gaussian'"),
    ({'families': ('boundary_blur',)}, 'boundary_blur needs masks'),
    ({'families': ('mode_collapse',)}, r'a column class \(`class_column`\)'),
    ({'levels': ('gaussian',)}, 'FAMILY:LEVEL'),
    ({'levels': ('gaussian:-1',)}, 'gaussian has levels above 0'),
    ({'levels': ('mode_collapse:3',)}, 'mode_collapse has levels 1 and 2'),
    (
      {'levels': ('internal_duplication:100',)},
      'shares in percent, above 0 and below 100',
    ),
  ],
)
def test_bad_conditions(options, message):
  with pytest.raises(ValueError, match=message):
    conditions(source(masks=False), StudyConfig(reference='', **options))


@pytest.mark.parametrize('contrast', ['t1', 't2', 'flair'])
def test_the_contrast_is_of_a_column_or_of_the_flags(contrast):
  known = constants(
    source(contrast=np.full(12, contrast)), StudyConfig(reference='')
  )
  assert known['mode_invention'] == {'contrast': contrast}
  told = StudyConfig(
    reference='',
    families=('mode_invention',),
    family_option=(
      f'mode_invention:contrast={contrast}',
      'mode_invention:grey=20,40',
      'boundary_blur:band=5',
    ),
  )
  found = constants(source(contrast=np.full(12, 't1')), told)
  assert found['mode_invention'] == {'contrast': contrast, 'grey': (20, 40)}
  assert found['boundary_blur'] == {'band': 5}
  assert {c.family for c in conditions(source(), told)} == {'mode_invention'}


@pytest.mark.parametrize('labels', [{}, {'contrast': np.array(list('ab') * 6)}])
def test_no_mode_is_invented_under_an_unknown_contrast(labels):
  config = StudyConfig(reference='', families=('mode_invention',))
  with pytest.raises(ValueError, match='contrast of the images: `family_opt'):
    conditions(source(**labels), config)


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('mode_invention:contrast=pd', 'accepted are t1, t2, flair'),
    ('mode_invention:smooth=much', "accepted are numbers, not 'much'"),
    ('gaussian:contrast=t1', 'FAMILY:NAME of .*mode_invention:contrast'),
    ('contrast=t1', 'accepted are FAMILY:NAME=VALUE'),
  ],
)
def test_bad_constants(text, message):
  with pytest.raises(ValueError, match=message):
    constants(source(), StudyConfig(reference='', family_option=(text,)))
