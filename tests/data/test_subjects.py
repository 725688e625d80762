import numpy as np
import pytest

from genmed_jax.data.formats import arrays
from genmed_jax.data.subjects import find_subjects, split_by_subject


def test_subjects_by_column_and_by_pattern():
  images = np.zeros((3, 4, 4), np.uint8)
  known = arrays.stack(
    'set', images, 'stamp {}'.format, {'patient': np.array(['x', 'x', 'y'])}
  )
  assert list(find_subjects(known, 'patient', None)) == ['x', 'x', 'y']
  assert list(find_subjects(known, None, r'(\d)')) == ['0', '1', '2']
  for column, pattern, message in (
    ('case', None, 'has no such column; it has patient'),
    (None, 'x(', r'`subject_pattern=.x\(.`: '),
    (None, 'TCGA', "does not match '0'"),
    (None, r'(x)|\d', "does not match '0'"),
  ):
    with pytest.raises(ValueError, match=message):
      find_subjects(known, column, pattern)


def test_parts_share_nobody_and_have_their_shares(random):
  subjects = np.repeat(np.arange(60).astype(str), random.integers(1, 20, 60))
  shares = 0.7, 0.15, 0.15
  parts = split_by_subject(subjects, shares, seed=1)
  np.testing.assert_array_equal(
    np.sort(np.concatenate(parts)), np.arange(len(subjects))
  )
  owners = [set(subjects[part]) for part in parts]
  assert not owners[0] & owners[1] | owners[0] & owners[2]
  assert not owners[1] & owners[2]
  sizes = np.array([len(part) for part in parts]) / len(subjects)
  np.testing.assert_allclose(sizes, shares, atol=0.06)
  with pytest.raises(ValueError, match='do not make 3 parts'):
    split_by_subject(np.array(['a', 'a', 'a', 'b', 'b']), shares, seed=0)
