import numpy as np
import pytest

from genmed_jax.study import design


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


def test_the_reference_may_hold_the_training_images(random):
  subjects = random.integers(0, 40, 400).astype(str)
  apart, within = (
    design.split(subjects, 60, 3, holds) for holds in (False, True)
  )
  np.testing.assert_array_equal(within.train, within.reference)
  np.testing.assert_array_equal(within.base, apart.base)
  np.testing.assert_array_equal(within.reference, apart.reference)


def test_too_few_subjects():
  with pytest.raises(ValueError, match='3 subjects do not make four sets of 4'):
    design.split(np.repeat(['a', 'b', 'c'], 10), 4, seed=0)
