"""Programs that an evaluation compiles: the time until its first answer."""

import functools

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


def test_one_process_takes_few_programs(compiled, sets, random):
  """Sets, groups and metrics share them; a set of another size adds none."""
  jax.clear_caches()

  def counted(evaluate, *given, **options):
    before = len(compiled)
    evaluate(*given, **options)
    return len(compiled) - before

  score = functools.partial(genmed_jax.score, *map(str, sets), bootstrap=50)
  assert 0 < counted(score, metrics=SEVEN) <= 20
  assert counted(score, metrics=SEVEN, group_by='group') <= 3
  counted(score, metrics='all')
  assert len(compiled) <= 40
  evaluator = genmed_jax.Evaluator(str(sets[0]), metrics='all', bootstrap=50)
  smaller = np.float32(random.standard_normal((211, WIDTH)))
  assert counted(evaluator, smaller) == 0
