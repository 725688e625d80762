"""Folds over pairs of rows, as programs for a mesh, and their work."""

import jax.numpy as jnp

from benchmarks.tpu_shapes import COMPONENTS, Program, Shapes, SUBSET, WIDTH
from benchmarks.tpu_work import (
  around,
  EMULATED,
  exact,
  pairs,
  pass_over,
  summed,
  Work,
)
from genmed_jax.engine import kernel_sums, mixture, nearest, views
from genmed_jax.engine.platforms import platform_of
from genmed_jax.metrics import likelihood, neighbours

_DOUBTFUL = 1000  # Rows that look again.
_KERNELS = (
  kernel_sums.polynomial_kernel,
  kernel_sums.gaussian_kernel,
  kernel_sums.unit_gaussian_kernel,
)

# Elementwise operations a pair, counted in the code: a distance with its
# slack, three rounds of a search on each side, a ball, and three kernels with
# a sum in float64 for each side.
_DISTANCE, _SEARCH, _BALL, _SUMS = 10, 24, 8, 50 + 6 * (EMULATED + 3)


def programs(s: Shapes, n: int, m: int) -> list[Program]:
  """Every fold over pairs of n real images and m generated ones."""
  d, chips = WIDTH, s.chips
  x, y, origin = s.rows(n), s.rows(m), s.whole(WIDTH)
  mine, theirs = n / chips, m / chips
  both = f'{n} x {d}, {m} x {d}'

  def info(*counts):
    return pass_over(sum(counts), d, 3)

  def ring(rows, known, hops=chips):
    return around(chips, hops, rows, 4 * d + known)

  def weights(count):
    return [s.over(count, 1)] * len(_KERNELS)

  doubtful, k = _DOUBTFUL, views.NEIGHBOURS
  subset = s.rows(SUBSET)
  known = (
    s.over(doubtful, dtype=jnp.int32),
    s.over(doubtful, dtype=jnp.float64),
  )
  found = [
    Program(
      'own nearest',
      f'{n} x {d}, k={k}',
      lambda: nearest._own_nearest.lower(s.mesh, (x,), origin, k=k),
      pairs(mine, n / 2, d, _DISTANCE + 2 * _SEARCH)
      + info(mine)
      + ring(mine, 20 + 8 * (k + 1), chips // 2)
      + exact(chips, mine, mine, k, d),
    ),
    Program(
      'nearest',
      f'{m} x {d} in {n} x {d}',
      lambda: nearest._nearest.lower(s.mesh, (y, x, (None, None)), origin),
      pairs(theirs, n, d, _DISTANCE + _SEARCH)
      + info(mine, theirs)
      + ring(mine, 20)
      + exact(chips, theirs, mine, 1, d),
    ),
    Program(
      'neighbourhoods',
      both,
      lambda: neighbours._neighbourhoods.lower(
        s.mesh, (x, y, s.balls(n), s.balls(m)), origin
      ),
      pairs(mine, m, d, 2 * _DISTANCE + _SEARCH + 5 * _BALL)
      + info(mine, theirs)
      + ring(theirs, 80)
      + exact(chips, theirs, mine, 2, d),
    ),
    Program(
      'look again',
      f'{doubtful} x {d} in {n} x {d}, float64',
      lambda: views._look_again.lower(
        s.mesh,
        (s.rows(doubtful), x, *known, s.balls(n)),
        origin,
        k=k,
        **views.second_look_options(s.mesh),
      ),
      pairs(
        doubtful / chips,
        n,
        d,
        EMULATED * (_DISTANCE + _SEARCH + 4 * _BALL),
        dtype='float64',
        tile=platform_of(s.mesh).second_look,
      )
      + info(mine)
      + ring(mine, 44)
      + exact(chips, doubtful / chips, mine, k + 1, d),
    ),
    Program(
      'kernel sums, own',
      f'{n} x {d}',
      lambda: kernel_sums._own_sums.lower(
        s.mesh, (x, weights(n)), (origin, s.whole()), kernels=_KERNELS
      ),
      pairs(mine, n / 2, d, _SUMS) + info(mine) + ring(mine, 80, chips // 2),
    ),
    Program(
      'kernel sums, cross',
      both,
      lambda: kernel_sums._cross_sums.lower(
        s.mesh,
        (x, y, weights(n), weights(m)),
        (origin, s.whole()),
        kernels=_KERNELS,
      ),
      pairs(mine, m, d, _SUMS) + info(mine, theirs) + ring(theirs, 80),
    ),
    Program(
      'kernel sums, union',
      f'{SUBSET} x {d}, {SUBSET} x {d}',
      lambda: kernel_sums._union_sums.lower(
        s.mesh, (subset, subset), origin, tile=kernel_sums._UNION_TILE
      ),
      pairs(2 * SUBSET / chips, SUBSET, d, _SUMS / 3, tile=250)
      + info(2 * SUBSET / chips)
      + ring(2 * SUBSET / chips, 60, chips // 2),
    ),
  ]
  if chips == 1:  # Of a cell of ct, which lies on one device.
    c = COMPONENTS
    cells = s.rows(m, c, jnp.float64), s.rows(n, c, jnp.float64)
    rows = *cells, (None, None)
    found.append(
      Program(
        'nearest, float64',
        f'{m} x {c} in {n} x {c}',
        lambda: nearest._nearest.lower(
          s.mesh, rows, s.whole(c), dtype=jnp.float64
        ),
        pairs(m, n, c, EMULATED * (_DISTANCE + _SEARCH), dtype='float64'),
      )
    )
  return found


def mixtures(s: Shapes, n: int) -> list[Program]:
  """Mixtures of n components, fitted to n images."""
  d, mine, single = WIDTH, n / s.chips, jnp.float32
  columns = mixture.padded_centres(n) + 1
  x, per_column = s.rows(n), s.whole(columns, dtype=single)
  centres = s.whole(columns, d, dtype=single)
  shapes = f'{n} x {d} to {n} x {d}'
  work = pairs(mine, columns, d, 8, tile=mixture._EVALUATED)
  distances = s.over(n, columns), s.over(n, dtype=bool)
  fit = likelihood._FLD_FIT
  swept = mine * columns * fit.steps
  return [
    Program(
      'mixture distances',
      shapes,
      lambda: mixture._distances.lower(s.mesh, x, (centres, per_column)),
      work + Work(memory=4 * mine * columns),
      x64=False,
    ),
    Program(
      'mixture fit',
      f'{n} x {columns}, {fit.steps} steps',
      lambda: mixture._fit.lower(s.mesh, distances, (per_column, fit, d)),
      Work(float32=4 * swept, elements=20 * swept, memory=4 * swept)
      + summed(s.chips, 8 * columns * fit.steps),
      x64=False,
    ),
    Program(
      'mixture log likelihoods',
      shapes,
      lambda: mixture._log_likelihoods.lower(
        s.mesh, x, (centres, per_column, per_column)
      ),
      work + Work(elements=20 * mine * columns),
      x64=False,
    ),
  ]
