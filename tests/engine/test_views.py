import jax
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from genmed_jax.engine import views
from genmed_jax.engine.distances import pair_info
from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.pairs import fold_pairs, pair_program
from genmed_jax.engine.rows import shard_rows, spread_rows
from genmed_jax.engine.stack import Stack
from genmed_jax.engine.views import (
  Balls,
  BEST,
  EVERYTHING,
  HELD_BY,
  HELD_BY_CLIPPED,
  HOLDING,
  look_again,
  see,
  settled,
  start,
)

pytestmark = pytest.mark.usefixtures('x64')

K = 3
COUNTS = HOLDING, HELD_BY, HELD_BY_CLIPPED


@pair_program()
def first_look(rows, origin, *, walk):
  """Everything that two sets see of each other."""
  sides, balls = rows[:2], rows[2:]
  known = [pair_info(side, origin) for side in sides]
  info = [a | b._asdict() for a, b in zip(known, balls, strict=True)]
  seen = fold_pairs(
    *sides,
    walk,
    origin=origin,
    row_update=see(EVERYTHING, walk.top_k),
    column_update=see(EVERYTHING, walk.top_k),
    row_info=info[0],
    column_info=info[1],
    row_state=start(sides[0], EVERYTHING, K, walk),
    column_state=start(sides[1], EVERYTHING, K, walk),
  )
  return [
    settled(sides[i], sides[1 - i], seen[i], known[i], walk) for i in (0, 1)
  ]


def looked_twice(mesh, sets, balls):
  """Both sides' views after the first look, and after the second."""
  sides = [shard_rows(mesh, side) for side in sets]
  origin = sets[0].mean(0)
  spread = [
    Balls(*(spread_rows(side, each) for each in of_side))
    for side, of_side in zip(sides, balls, strict=True)
  ]
  seen = jax.tree.map(to_host, first_look((*sides, *spread), origin))
  first = [dict(view) for view in seen]
  stacked = [Stack([FeatureSet(side)], alone=True) for side in sides]
  for i in (0, 1):
    look_again(
      stacked[i],
      stacked[1 - i],
      seen[i],
      radius=spread[i].radius,
      balls=spread[1 - i],
    )
  return [
    [of_rows_that_count(views[i], sides[i], sides[1 - i]) for i in (0, 1)]
    for views in (first, seen)
  ]


def of_rows_that_count(view, queries, database):
  """A view by places in the sets, the nearest in order."""
  mask = to_host(queries.mask)
  rank = np.cumsum(to_host(database.mask)) - 1
  view = {name: values[mask] for name, values in view.items()}
  view['index'], view[BEST] = rank[view['index']], rank[view[BEST]]
  order = np.lexsort((view['index'], view['squared']), axis=1)
  for name in ('squared', 'index'):
    view[name] = np.take_along_axis(view[name], order, 1)
  return view


def expected_view(x, y, radius, balls):
  """The view of every row of ``x`` among ``y``, from all float64 distances."""
  squared = cdist(x, y, 'sqeuclidean')
  places = np.broadcast_to(np.arange(len(y)), squared.shape)
  index = np.lexsort((places, squared), axis=1)[:, :K]
  with np.errstate(divide='ignore', invalid='ignore'):
    ratio = np.where(balls.core > 0, balls.core / squared, 0)
  best = ratio.argmax(1)
  return {
    'squared': np.take_along_axis(squared, index, 1),
    'index': index,
    HOLDING: (squared < radius[:, None]).sum(1),
    HELD_BY: (squared < balls.radius).sum(1),
    HELD_BY_CLIPPED: (squared <= balls.clipped).sum(1),
    BEST: best,
    'best_squared': squared[np.arange(len(x)), best],
  }


def check(view, expected, names=None):
  """Compares a view with the reference."""
  for name in names or expected:
    if name.endswith('squared'):
      np.testing.assert_allclose(
        view[name], expected[name], rtol=1e-12, atol=1e-24
      )
    else:
      np.testing.assert_array_equal(view[name], expected[name])


def some_balls(random, squared):
  """Balls that hold some of the other set; half have no core."""
  n = len(squared)
  radius = np.quantile(squared, 0.3, axis=1) * random.uniform(0.5, 1.5, n)
  core = np.where(random.random(n) < 0.5, radius, 0)
  return Balls(radius, 0.8 * radius, core)


def easy_sets(random):
  """Two sets about an offset, with some copies."""
  x, y = random.standard_normal((2, 90, 8)) + 64
  x = x[:50]
  x[:4] = y[:4]
  squared = cdist(x, y, 'sqeuclidean')
  return (x, y), [some_balls(random, s) for s in (squared, squared.T)]


def hard_sets(random):
  """Two sets of whose distances float32 cannot tell what is asked.

  The first row of ``x`` is the centre of a sphere of rows of ``y``, all but
  for 1e-9; radii are at distances, exactly or all but for 1e-9.
  """
  x, y = random.standard_normal((2, 70, 8))
  x[40:45] = y[:5]
  x = x[:45]
  ways = random.standard_normal((40, 8))
  ways /= np.linalg.norm(ways, axis=1, keepdims=True)
  far = 0.5 + 1e-9 * random.permutation(40)[:, None]
  y[30:] = x[0] + far * ways
  squared = cdist(x, y, 'sqeuclidean')
  balls = []
  for distances in (squared, squared.T):
    of_side = some_balls(random, distances)
    n, others = distances.shape
    near = 1 + 1e-9 * random.integers(-1, 2, (2, n))
    at = distances[np.arange(n), random.integers(5, others, n)]
    balls.append(of_side._replace(radius=at * near[0], clipped=at * near[1]))
  return (x, y), balls


def expected_views(sets, balls):
  return [
    expected_view(sets[i], sets[1 - i], balls[i].radius, balls[1 - i])
    for i in (0, 1)
  ]


def test_both_sides_see_what_the_reference_does(random, mesh):
  sets, balls = easy_sets(random)
  _, seen = looked_twice(mesh, sets, balls)
  for view, expected in zip(seen, expected_views(sets, balls), strict=True):
    check(view, expected)
    for name in COUNTS:
      assert 0 < expected[name].mean() < 40
  assert not seen[0]['squared'][:4, 0].any()
  assert not seen[1]['squared'][:4, 0].any()


def test_a_second_look_decides_what_the_first_cannot(random, mesh):
  sets, balls = hard_sets(random)
  first, seen = looked_twice(mesh, sets, balls)
  expected = expected_views(sets, balls)
  for view, reference in zip(seen, expected, strict=True):
    check(view, reference)
    # Copies are at distance zero, and no others.
    copies = reference['squared'][:, 0] == 0
    assert copies.sum() == 5
    np.testing.assert_array_equal(view['squared'][:, 0] == 0, copies)
  for i, names in ((0, ('index', *COUNTS)), (1, COUNTS)):
    assert first[i]['doubtful'].any()
    for name in names:
      wrong = first[i][name] != expected[i][name]
      wrong = wrong.reshape(len(wrong), -1).any(1)
      assert wrong.any()
      assert first[i]['doubtful'][wrong].all()


@pytest.mark.parametrize('n', [30, 1100])
def test_rows_in_doubt_alone_look_again(random, mesh, n):
  """However many, for whatever was asked, in a set with copies."""
  x = random.standard_normal((n, 8))
  x[1::7] = x[::7][: len(x[1::7])]
  rows = shard_rows(mesh, x)
  places = np.flatnonzero(to_host(rows.mask))
  doubtful = random.random(n) < 0.97
  radius = np.full(n, 4.0)
  view = {
    'doubtful': spread_rows(rows, doubtful),
    'squared': spread_rows(rows, np.full((n, 2), -7.0)),
    'index': spread_rows(rows, np.full((n, 2), -7)),
    HELD_BY: spread_rows(rows, np.full(n, -7)),
  }
  zeros = np.zeros(len(rows.mask))
  stack = Stack([FeatureSet(rows)], alone=True)
  look_again(
    stack,
    stack,
    view,
    itself=np.arange(len(rows.mask), dtype=np.int32),
    balls=Balls(spread_rows(rows, radius), zeros, zeros),
  )
  squared = cdist(x, x, 'sqeuclidean')
  np.fill_diagonal(squared, np.inf)
  index = np.argsort(squared, axis=1, kind='stable')[:, :2]
  nearest = np.take_along_axis(squared, index, 1)
  found = {name: values[places] for name, values in view.items()}
  np.testing.assert_allclose(
    found['squared'][doubtful], nearest[doubtful], rtol=1e-12, atol=1e-24
  )
  expected = places[index][doubtful]
  np.testing.assert_array_equal(found['index'][doubtful], expected)
  held = (squared < radius).sum(1)
  np.testing.assert_array_equal(found[HELD_BY][doubtful], held[doubtful])
  for name in ('squared', 'index', HELD_BY):
    assert (found[name][~doubtful] == -7).all()
  assert (~doubtful).any()


def test_without_doubt_nobody_looks_again(monkeypatch, mesh):
  rows = shard_rows(mesh, np.zeros((3, 2)))
  monkeypatch.delattr(views, '_look_again')
  view = {name: np.zeros(len(rows.mask)) for name in ('doubtful', HOLDING)}
  stack = Stack([FeatureSet(rows)], alone=True)
  look_again(stack, stack, view)
  assert not view[HOLDING].any()


def test_views_of_different_rows_merge():
  # The first comes first where distances tie.
  one = {'squared': np.float32([[1, 2, 5]]), 'index': np.int32([[4, 9, 0]])}
  other = {'squared': np.float32([[1, 2, 3]]), 'index': np.int32([[3, 7, 1]])}
  merged = views.merge(one | {'doubtful': np.zeros(1, bool)}, other)
  np.testing.assert_array_equal(merged['index'], [[3, 4, 7]])
  np.testing.assert_allclose(merged['squared'], [[1, 1, 2]], rtol=1e-6)
  assert not merged['doubtful'].any()
