import numpy as np
import pytest

from genmed_jax.data.formats import arrays
from genmed_jax.study import design
from genmed_jax.study.design import Condition, StudyConfig


def source(n=12, masks=True, **labels):
  images = np.zeros((n, 8, 8), np.uint8)
  given = np.ones((n, 8, 8), bool) if masks else None
  return arrays.stack('set', images, 'stamp {}'.format, labels, given)


def test_no_subject_plays_two_roles(random):
  subjects = random.integers(0, 40, 400).astype(str)
  roles = design.split(subjects, 60, seed=3)
  parts = [roles.reference, roles.train, roles.test, roles.pool]
  names = [set(subjects[part]) for part in parts]
  for i, one in enumerate(names):
    assert all(not one & other for other in names[i + 1 :])
  assert [len(part) for part in roles[:4]] == [60] * 4
  assert set(roles.base) <= set(roles.pool)
  again, other = (design.split(subjects, 60, seed=seed) for seed in (3, 4))
  np.testing.assert_array_equal(again.base, roles.base)
  assert set(other.base) != set(roles.base)


def test_every_image_is_dealt_where_subjects_are_unknown():
  roles = design.split(np.arange(100).astype(str), None, seed=0)
  assert len(roles.base) == 16
  parts = np.concatenate([roles.reference, roles.train, roles.test, roles.pool])
  np.testing.assert_array_equal(np.sort(parts), np.arange(100))


def test_too_few_subjects():
  with pytest.raises(ValueError, match='3 subjects do not make four sets of 4'):
    design.split(np.repeat(['a', 'b', 'c'], 10), 4, seed=0)


def test_conditions_are_those_the_source_allows():
  plain = {
    c.family
    for c in design.conditions(source(masks=False), StudyConfig(reference=''))
  }
  assert plain == {
    'gaussian',
    'rician',
    'poisson',
    'external_duplication',
    'internal_duplication',
    'mode_invention',
  }
  labels = {
    'class': np.array(list('abc') * 4),
    'scanner': np.array(list('AB') * 6),
  }
  full = design.conditions(source(**labels), StudyConfig(reference=''))
  assert len({c.family for c in full}) == 10
  config = StudyConfig(
    reference='',
    families=('gaussian', 'density_shift'),
    levels=('gaussian:0.2,0.3',),
  )
  chosen = design.conditions(source(**labels), config)
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
    design.conditions(source(masks=False), StudyConfig(reference='', **options))
