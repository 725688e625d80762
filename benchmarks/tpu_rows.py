"""Passes over the rows of one set, as programs for a mesh, and their work."""

from collections.abc import Callable
import importlib

import jax.numpy as jnp

from benchmarks.tpu_shapes import COMPONENTS, Program, Shapes, SUBSET, WIDTH
from benchmarks.tpu_work import around, CUT, EMULATED, pass_over, summed, Work
from genmed_jax.engine import moments
from genmed_jax.engine import rows as rows_lib
from genmed_jax.metrics import (
  asw,
  ct,
  frechet,
  frechet_infinity,
  sliced,
  vendi,
)

# The package has a function of this name.
_inception_score = importlib.import_module('genmed_jax.metrics.inception_score')

_CLASSES = 1008
_PROJECTIONS = 100  # Held at once.


def programs(s: Shapes, n: int) -> list[Program]:
  """Every pass over the rows of a set of n."""
  d, whole = WIDTH, s.whole
  rows, mine = s.rows(n), n / s.chips
  shapes = f'{n} x {d}'
  # Blocks on and above the diagonal.
  blocks = moments._block_pairs(d)
  zeros = [whole(a.stop - a.start, b.stop - b.start) for a, b in blocks]
  area = sum(z.size for z in zeros)

  def scatter(prepare, context, doubles):
    update = moments._outer_update(prepare, d, jnp.float32)
    work = pass_over(mine, d, doubles, tile=moments._TILE, whole=16 * area)
    work += Work(
      float32=2 * mine * area, elements=mine / 1024 * area * EMULATED
    ) + summed(s.chips, 8 * area)
    return shapes, _fold(s, rows, (), context, zeros, update, 1024), work

  def mapped(function, context, doubles, whole=0.0, **products):
    def lower():
      return rows_lib._map_rows.lower(s.mesh, rows, context, function=function)

    work = pass_over(mine, d, doubles, whole=whole) + Work(**products)
    return shapes, lower, work

  mean, square = whole(d), 2 * mine * d**2
  sizes, splits = frechet_infinity.SIZES, 10
  logits = s.rows(n, _CLASSES)
  return [
    Program(
      'row statistics',
      shapes,
      lambda: moments._row_statistics.lower(s.mesh, rows),
      pass_over(mine, d, 4),
    ),
    Program('moments', *scatter(moments._about, mean, 1)),
    Program('vendi gram', *scatter(vendi._unit_tile, (), 4)),
    Program(
      'fd_inf fold',
      shapes,
      _fold(
        s,
        rows,
        s.over(n, sizes, dtype=bool),
        mean,
        (whole(sizes, d), whole(sizes)),
        frechet_infinity._add,
        rows_lib.TILE,
      ),
      pass_over(mine, d, 3, whole=16 * sizes * d)
      + Work(float64=2 * mine * d * sizes),
    ),
    Program(
      'inception score fold',
      f'{n} x {_CLASSES}',
      _fold(
        s,
        logits,
        s.over(n, splits, dtype=jnp.float64),
        (),
        (whole(splits, _CLASSES), whole(splits)),
        _inception_score._add,
        rows_lib.TILE,
      ),
      # Two exponentials are most of it.
      pass_over(mine, _CLASSES, 40)
      + Work(float64=2 * mine * _CLASSES * splits),
    ),
    Program(
      'fd slope',
      *mapped(
        frechet._slope,
        (mean, whole(d, d, dtype=jnp.float32), mean, whole()),
        5,
        4 * d**2,
        float32=square,
      ),
    ),
    Program(
      'vendi slope',
      *mapped(
        vendi._project,
        (whole(d + 1, d + 1), whole(d + 1, 4)),
        6,
        CUT * d**2,
        float64=square,
      ),
    ),
    Program('asw slope', *mapped(asw._slope, (mean, mean, whole()), 5)),
    Program(
      'fd_inf projection',
      *mapped(
        frechet_infinity._projector(jnp.dtype('float32')),
        (mean, whole(d, d)),
        1,
        CUT * d**2,
        float64=square,
        memory=4 * mine * d,
      ),
    ),
    Program(
      'ct projection',
      *mapped(
        ct._project,
        (mean, whole(d, COMPONENTS)),
        1,
        float64=2 * mine * d * COMPONENTS,
      ),
    ),
    *_sliced(s, n),
    *(_taking(s, n, count) for count in (SUBSET, n // 2)),
  ]


def _fold(s, rows, info, context, state, update, tile) -> Callable:
  return lambda: rows_lib._fold_rows.lower(
    s.mesh, (rows, info), (context, state), update=update, tile=tile
  )


def _sliced(s: Shapes, n: int) -> list[Program]:
  mine = n / s.chips
  directions = s.whole(_PROJECTIONS, WIDTH, dtype=jnp.float32)
  context = directions, s.whole(WIDTH)
  projected = s.over(n, _PROJECTIONS, dtype=jnp.float32)
  made = 4 * mine * _PROJECTIONS
  # A sorting network's depth, of compares and exchanges.
  depth = n.bit_length() * (n.bit_length() + 1) / 2
  return [
    Program(
      'sliced projections',
      f'{n} x {WIDTH}, {_PROJECTIONS} directions',
      lambda: sliced._project.lower(s.mesh, s.rows(n), context),
      pass_over(mine, WIDTH, 0)
      + Work(float32=2 * mine * WIDTH * _PROJECTIONS, memory=made),
    ),
    Program(
      'sliced projections, in order',
      f'{n} x {_PROJECTIONS}',
      lambda: sliced._in_order.lower(projected, s.over(n, dtype=bool)),
      Work(elements=4 * mine * _PROJECTIONS * depth, memory=2 * made)
      + around(s.chips, 2, mine, 4 * _PROJECTIONS),
    ),
  ]


def _taking(s: Shapes, n: int, count: int) -> Program:
  taken = s.over(count, dtype=jnp.int32), s.over(count, dtype=bool)
  # Every chip brings what it has of all that is asked for.
  size = 4 * WIDTH * count
  return Program(
    'take rows',
    f'{count} of {n} x {WIDTH}',
    lambda: rows_lib._take_rows.lower(s.mesh, (s.over(n, WIDTH), *taken)),
    Work(memory=3 * size, links=size * (s.chips - 1) / s.chips),
  )
