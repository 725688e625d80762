import numpy as np
import pytest

from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.mesh import data_mesh
from genmed_jax.errors import Undefined
from genmed_jax.metrics import splits
from genmed_jax.metrics.base import Comparison
from tests.metrics.sets import comparison, feature_set
from tests.metrics.test_base import is_disjoint


def test_parts_are_disjoint_parts_of_both_sets():
  compared = comparison(n=60, m=40)
  pairs = compared.get(splits.parts)
  for one, other in pairs:
    assert (one.counts, other.counts) == ((30, 20), (30, 20))
    assert is_disjoint(one.reference, other.reference)
    assert is_disjoint(one.generated, other.generated)
  again = Comparison(compared.reference, compared.generated).get(splits.parts)
  np.testing.assert_array_equal(
    again[1][1].generated.to_host(), pairs[1][1].generated.to_host()
  )
  (first, _), (second, _), *_ = pairs
  assert not np.array_equal(
    first.reference.to_host(), second.reference.to_host()
  )


def test_given_training_and_held_out_images_stay_whole(random):
  x, y, train, test = map(feature_set, random.standard_normal((4, 40, 3)))
  given = Comparison(x, y, train, test)
  for pairs in (given.get(splits.parts), splits.floors(given)):
    for part in pairs[0]:
      assert part.train is train
      assert part.held_out == (train, test)
  ((one, _), *_) = Comparison(x, y).get(splits.parts)
  assert one.train is one.reference


@pytest.mark.parametrize(
  ('n', 'm', 'share', 'size'),
  [
    (60, 200, 0.5, 30),
    (3000, 50, 0.5, 25),
    (20_000, 20_000, 0.25, 5000),
    (20_000, 100, 0.3, 50),
  ],
)
def test_parts_are_no_larger_than_errors_need(n, m, share, size):
  x, y = (feature_set(np.zeros((k, 1), np.float32)) for k in (n, m))
  compared = Comparison(x, y)
  assert compared.get(splits.share_of_part) == share
  assert compared.get(splits.parts)[0][0].counts == (n * share, m * share)
  assert compared.get(splits.floor_size) == size
  for pairs in (compared.get(splits.level), splits.floors(compared)):
    assert pairs[0][0].counts == pairs[0][1].counts == (size, size)


def test_a_floor_is_of_the_reference_and_either_part_is_as_if_generated():
  compared = comparison(n=61, m=40)
  for one, other in splits.floors(compared):
    assert one.reference is other.generated
    assert other.reference is one.generated
    assert is_disjoint(one.reference, one.generated)
  for pair, floor in zip(
    compared.get(splits.level), splits.floors(compared), strict=True
  ):
    assert [c.reference for c in pair] == [c.reference for c in floor]


def test_generated_sets_of_one_size_share_the_floors(random):
  x, y, z = map(feature_set, random.standard_normal((3, 40, 3)))
  one, other = Comparison(x, y), Comparison(x, z)
  assert splits.floors(one) is splits.floors(other)
  smaller = Comparison(x, y.part(np.arange(30)))
  assert splits.floors(smaller)[0][0].counts == (15, 15)


def test_sets_of_equal_size_are_split_once(random):
  x, y = map(feature_set, random.standard_normal((2, 40, 3)))
  compared = Comparison(x, y)
  assert compared.get(splits.level) is compared.get(splits.parts)


def test_too_few_images_have_no_floor(random):
  x, y = map(feature_set, random.standard_normal((2, 3, 3)))
  with pytest.raises(Undefined, match='4 images'):
    splits.floors(Comparison(x, y))


def test_siblings_are_computed_together():
  calls = []

  def counts(compared):
    calls.append(len(compared))
    return [c.counts for c in compared]

  counts.of_each = True
  compared = comparison(n=60, m=40)
  pairs = compared.get(splits.parts)
  assert pairs[1][0].get(counts) == (30, 20)
  assert pairs[0][1].get(counts) == (30, 20)
  assert compared.get(counts) == (60, 40)
  assert calls == [2 * splits.SPLITS, 1]


def test_no_subject_is_in_two_parts(random):
  subjects = np.repeat(np.arange(20), 3)
  values = np.float32(random.standard_normal((60, 2)))
  values[:, 0] = subjects
  x = LocalFeatures(data_mesh(), values, subjects=subjects)
  assert x.independent == 20
  compared = Comparison(x, feature_set(values))
  drawn = []
  for one, other in compared.get(splits.parts):
    names = [set(c.reference.to_host()[:, 0]) for c in (one, other)]
    assert not names[0] & names[1]
    assert one.counts[0] == 30
    assert other.counts[0] == 30
    drawn.append(names[0])
  assert any(names != drawn[0] for names in drawn[1:])


def test_subjects_of_uneven_size_leave_a_part_with_less(random):
  subjects = np.repeat([0, 1, 2], [5, 5, 30])
  values = np.float32(random.standard_normal((40, 2)))
  x = LocalFeatures(data_mesh(), values, subjects=subjects)
  counts = [
    sorted(part.count for part in x.draw(np.random.default_rng(seed), 20, 20))
    for seed in range(9)
  ]
  assert min(counts) == [0, 20] or min(counts) == [10, 20]
  assert all(larger == 20 for _, larger in counts)
