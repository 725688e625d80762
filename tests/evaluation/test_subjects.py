"""Subjects in an evaluation: images of one are alike."""

import numpy as np
import pytest

from genmed_jax import options
from genmed_jax.errors import UsageError
from genmed_jax.evaluation.config import EvaluationConfig
from genmed_jax.evaluation.run import prepare

# Of each of 30 subjects, as many slices.
SLICES = 8


@pytest.fixture
def sets(tmp_path):
  """Features of slices that are nearly those of their subject."""

  def make(name, seed, subject=True):
    random = np.random.default_rng(seed)
    values = np.repeat(random.standard_normal((30, 4)), SLICES, axis=0)
    values += 0.1 * random.standard_normal(values.shape)
    names = {'subject': np.repeat([f'p{i}' for i in range(30)], SLICES)}
    path = tmp_path / f'{name}.npz'
    np.savez(path, features=np.float32(values), **(names if subject else {}))
    return str(path)

  return make


def rows_of(reference, generated, **given):
  config = {
    'reference': reference,
    'generated': (f'made={generated}',),
    'metrics': 'fd,asw',
    'bootstrap': 50,
  }
  evaluation = prepare(options.build(EvaluationConfig, config | given)).run()
  return {row.metric: row for row in evaluation.rows}


def test_errors_and_floors_are_over_subjects(sets):
  pair = sets('real', 0), sets('made', 1)
  by_image = rows_of(*pair)
  by_subject = rows_of(*pair, subject_column='subject')
  for name, row in by_subject.items():
    assert row.value == pytest.approx(by_image[name].value, rel=1e-6)
    assert row.std_error > by_image[name].std_error
  # Halves that share subjects hardly differ.
  assert by_subject['fd'].floor > 3 * by_image['fd'].floor
  assert abs(by_subject['fd'].excess) < 3


def test_generated_images_may_be_of_nobody(sets):
  pair = sets('real', 0), sets('made', 1, subject=False)
  rows = rows_of(*pair, subject_column='subject')
  assert rows['fd'].std_error > 0


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    ({'subject_column': 'patient'}, "`subject_column='patient'`: .* no such"),
    ({'subject_pattern': 'p[0-9]+'}, "`subject_pattern=.* does not match '0'"),
  ],
)
def test_subjects_that_are_not_there(sets, given, message):
  with pytest.raises(UsageError, match=message):
    rows_of(sets('real', 0), sets('made', 1), **given)
