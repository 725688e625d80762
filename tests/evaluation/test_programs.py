"""Programs that an evaluation compiles: the time until its first answer."""

import jax
import numpy as np
import pytest

import genmed_jax

WIDTH = 24
GROUPS = 6
SEVEN = 'fd,kid,precision,recall,density,coverage,vendi'


@pytest.fixture
def sets(random, tmp_path):
  """Files of real and generated features with a column of uneven groups."""
  files = []
  for name, count in (('real', 320), ('generated', 300)):
    files.append(tmp_path / f'{name}.npz')
    group = np.minimum(random.geometric(0.3, count), GROUPS)
    np.savez(
      files[-1],
      features=np.float32(random.standard_normal((count, WIDTH))),
      group=np.char.add('g', group.astype(str)),
    )
  return files


def programs(compiled, sets, **options):
  """The programs of an evaluation in a process that knows none."""
  jax.clear_caches()
  compiled.clear()
  genmed_jax.score(*map(str, sets), bootstrap=50, **options)
  return len(compiled)


def test_all_metrics_take_few_programs(compiled, sets):
  assert programs(compiled, sets, metrics='all') <= 40


def test_groups_take_the_programs_of_the_whole(compiled, sets):
  whole = programs(compiled, sets, metrics=SEVEN)
  grouped = programs(compiled, sets, metrics=SEVEN, group_by='group')
  assert 0 < grouped <= whole + 3


def test_another_set_of_another_size_takes_none(compiled, sets, random):
  evaluator = genmed_jax.Evaluator(str(sets[0]), metrics='all', bootstrap=0)
  evaluator(np.float32(random.standard_normal((300, WIDTH))))
  compiled.clear()
  evaluator(np.float32(random.standard_normal((211, WIDTH))))
  assert compiled == []
