import numpy as np
import pytest

from genmed_jax.statistics.direction import Direction


@pytest.mark.parametrize(
  ('direction', 'expected'),
  [
    (Direction.LOWER, [-2.0, 0.0, 3.0]),
    (Direction.HIGHER, [2.0, 0.0, -3.0]),
    (Direction.ZERO, [2.0, 0.0, 3.0]),
  ],
)
def test_badness_is_larger_for_worse_values(direction, expected):
  values = [-2.0, 0.0, 3.0]
  np.testing.assert_array_equal(direction.badness(np.array(values)), expected)
  assert [direction.badness(value) for value in values] == expected


def test_text_is_that_of_tables():
  assert list(map(str, Direction)) == ['lower', 'higher', 'target:0']
  assert f'{Direction.ZERO}' == 'target:0'
  assert Direction('target:0') is Direction.ZERO
