import numpy as np
import pytest

from genmed_jax.engine.moments import row_statistics
from genmed_jax.engine.rows import shard_rows

pytestmark = pytest.mark.usefixtures('x64')


def check(found, counted):
  """Compares with NumPy's statistics of the rows that count."""
  counted = np.float64(counted)
  assert found.count == len(counted)
  assert found.is_finite
  np.testing.assert_allclose(found.mean, counted.mean(0), rtol=1e-12)
  expected = counted.var(axis=0).sum()
  np.testing.assert_allclose(found.total_variance, expected, rtol=1e-9)


@pytest.mark.parametrize('offset', [0, 1e6])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_statistics_equal_numpy(random, ring, dtype, offset):
  x = dtype(random.standard_normal((601, 5)) + offset)
  check(row_statistics(shard_rows(ring, x)), x)


# Rows that count: with holes, on all devices but one, and on the last alone.
@pytest.mark.parametrize(
  'kept', [slice(None, None, 3), slice(12, None, 2), slice(39, None)]
)
@pytest.mark.parametrize('offset', [0, 1e6])
def test_only_rows_that_count_do(random, mesh, lay, kept, offset):
  x = np.float32(random.standard_normal((48, 5)) + offset)
  mask = np.zeros(48, bool)
  mask[kept] = True
  x[~mask] = np.nan
  check(row_statistics(lay(mesh, x, mask)), x[mask])


def test_equal_rows_do_not_vary(mesh, lay):
  x = np.full((48, 5), 1e6 + 0.25)
  found = row_statistics(lay(mesh, x, np.arange(48) % 5 > 0))
  np.testing.assert_allclose(found.mean, x[0], rtol=1e-14)
  assert 0 <= found.total_variance < 1e-12


def test_no_rows(mesh, lay):
  x = np.full((48, 5), np.nan, np.float32)
  found = row_statistics(lay(mesh, x, np.zeros(48, bool)))
  assert (found.count, found.is_finite) == (0, True)
  assert not found.mean.any()
  np.testing.assert_allclose(found.total_variance, 0, atol=1e-15)


@pytest.mark.parametrize(
  ('value', 'at', 'finite'),
  [
    (0.0, 2, True),
    (np.nan, 2, False),
    (np.inf, 2, False),
    (-np.inf, 0, False),  # What the others are taken about.
    (np.nan, 5, True),
    (np.inf, 1, True),
    (np.finfo(np.float32).max, 2, True),
  ],
)
def test_rows_that_count_are_counted_and_looked_at(
  mesh, lay, value, at, finite
):
  values = np.zeros((8, 3), np.float32)
  values[at, 1] = value
  mask = np.array([True, False, True, True, False, False, False, False])
  found = row_statistics(lay(mesh, values, mask))
  assert (found.count, found.is_finite) == (3, finite)


def test_opposite_infinities_do_not_cancel(mesh, lay):
  values = np.zeros((8, 1), np.float32)
  values[[1, 6], 0] = np.inf, -np.inf
  assert not row_statistics(lay(mesh, values, np.ones(8, bool))).is_finite


def test_counts_share_a_program(random, mesh, compiled):
  x = np.float32(random.standard_normal((900, 11)))
  programs = []
  for count in (900, 70, 1):
    check(row_statistics(shard_rows(mesh, x[:count])), x[:count])
    programs.append(len(compiled))
  assert programs[0] > 0
  assert programs == programs[:1] * 3
