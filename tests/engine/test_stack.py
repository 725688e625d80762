import jax
import numpy as np
import pytest

from genmed_jax.engine import nearest as nearest_module
from genmed_jax.engine import stack as stack_module
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.nearest import own_neighbours, own_neighbours_of_each
from genmed_jax.engine.stack import Stack, stacks
from genmed_jax.metrics import neighbourhoods
from genmed_jax.metrics.neighbours import neighbourhoods_of_each


def local(mesh, sizes, random, width=5):
  """Parts of one set, with copies in and between them."""
  values = np.float32(random.standard_normal((sum(sizes), width)))
  values[1::9] = values[: len(values[1::9])]
  whole = LocalFeatures(mesh, values)
  ends = np.cumsum(sizes)
  return [
    whole.part(np.arange(end - size, end))
    for size, end in zip(sizes, ends, strict=True)
  ]


@pytest.fixture(params=['small tiles', 'large tiles'])
def tiles(request, monkeypatch):
  if request.param == 'small tiles':
    monkeypatch.setattr(Stack, 'options', {'tile': (16, 16)})


@pytest.mark.usefixtures('tiles')
def test_neighbours_in_a_stack_are_those_of_each_set(random, mesh):
  sets = local(mesh, [30, 7, 90, 41], random)
  together = own_neighbours_of_each(sets, k=4)
  for one, found in zip(sets, together, strict=True):
    alone = own_neighbours(one, k=4)
    np.testing.assert_array_equal(found.index, alone.index)
    np.testing.assert_allclose(found.squared, alone.squared, rtol=1e-12)


@pytest.mark.usefixtures('tiles')
def test_neighbourhoods_in_a_stack_are_those_of_each_pair(random, mesh):
  x = local(mesh, [30, 20, 90], random)
  y = local(mesh, [25, 60, 8], random)
  together = neighbourhoods_of_each(x, y)
  for *pair, found in zip(x, y, together, strict=True):
    alone = neighbourhoods(*pair)
    for name, expected in alone._asdict().items():
      values = jax.tree.leaves(getattr(found, name)), jax.tree.leaves(expected)
      for value, one in zip(*values, strict=True):
        np.testing.assert_allclose(value, one, rtol=1e-6, err_msg=name)


def test_small_sets_share_a_program(random, mesh, compiled):
  own_neighbours_of_each(local(mesh, [40, 50, 60], random), k=4)
  before = len(compiled)
  own_neighbours_of_each(local(mesh, [9, 8, 7, 30, 100], random), k=4)
  assert len(compiled) == before


def test_stacks_hold_few_rows_and_all_sets_in_order(random, mesh, monkeypatch):
  monkeypatch.setattr(stack_module, '_ROWS', 100)
  x = local(mesh, [40, 50, 20, 300, 10], random)
  y = local(mesh, [10, 10, 60, 10, 10], random)
  found = list(stacks(x, y))
  assert [len(one.sets) for one, _ in found] == [2, 1, 1, 1]
  assert [s for one, _ in found for s in one.sets] == x
  assert [s for _, other in found for s in other.sets] == y


def test_values_of_rows_and_of_sets(random, mesh):
  sets = local(mesh, [9, 3, 5], random)
  stack = Stack(sets, alone=False)
  values = to_host(stack.rows.values)
  for part, one in zip(stack.split(values), sets, strict=True):
    np.testing.assert_array_equal(part, one.to_host())
  known = [np.arange(k) + 10.0 * k for k in (9, 3, 5)]
  spread = stack.spread(known)
  for part, given in zip(stack.split(spread), known, strict=True):
    np.testing.assert_array_equal(part, given)
  assert (stack.number == -1).sum() == len(values) - 17


def test_a_large_set_is_one_alone(random, mesh):
  one = LocalFeatures(mesh, random.standard_normal((1001, 5)))
  small = one.part(np.arange(20))
  ((stack,),) = stacks([one])
  assert stack.number is None
  assert stack.options == {}
  assert stack.rows.values is one.rows.values
  assert [side.number is None for side in next(stacks([small], [one]))] == 2 * [
    True
  ]
  assert [s.number is None for s in next(stacks([small], [small]))] == 2 * [
    False
  ]


def test_a_small_set_takes_the_programs_of_stacks(random, mesh, compiled):
  own_neighbours_of_each(local(mesh, [40, 50], random), k=4)
  before = len(compiled)
  one = np.float32(random.standard_normal((60, 5)))
  own_neighbours(LocalFeatures(mesh, one), k=4)
  assert len(compiled) == before


def test_a_second_look_stays_in_the_set(random, mesh, monkeypatch):
  """Copies in two sets are doubtful, and no neighbours."""
  values = np.float32(random.standard_normal((40, 4)))
  whole = LocalFeatures(mesh, np.tile(values, (2, 1)))
  sets = [whole.part(np.arange(40)), whole.part(np.arange(40, 80))]
  looked = []
  inner = nearest_module.look_again
  monkeypatch.setattr(
    nearest_module,
    'look_again',
    lambda *args, **given: (looked.append(args), inner(*args, **given)),
  )
  for found in own_neighbours_of_each(sets, k=3):
    assert found.squared.min() > 0
  assert looked
