import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine import pairs
from genmed_jax.engine.pairs import (
  fold_own_pairs,
  fold_pairs,
  others,
  pair_program,
  Walk,
)
from genmed_jax.engine.rows import as_rows, shard_rows

pytestmark = pytest.mark.usefixtures('x64')


def add_products(products, valid, own_info, other_info, total, axis):
  del own_info
  weights = others(other_info, axis)
  return total + jnp.where(valid, products * weights, 0.0).sum(axis)


def weighted_products(rows, origin, *, walk):
  x, y, weights_x, weights_y = rows
  return fold_pairs(
    x,
    y,
    walk,
    origin=origin,
    row_update=add_products,
    column_update=add_products,
    row_info=weights_x,
    column_info=weights_y,
    row_state=jnp.zeros_like(weights_x),
    column_state=jnp.zeros_like(weights_y),
  )


def weighted_own_products(rows, origin, *, walk):
  x, weights = rows
  nothing = jnp.zeros_like(weights)
  options = {'origin': origin, 'info': weights}
  return fold_own_pairs(x, walk, add_products, jnp.add, nothing, **options)


CROSS = pair_program()(weighted_products)
OWN = pair_program(own=True)(weighted_own_products)


def some(random, n):
  """A mask with holes, whose last rows count and whose third quarter not."""
  mask = random.random(n) < 0.7
  mask[n // 2 : 3 * n // 4] = False
  mask[-2:] = True
  return mask


# Last tiles that are slid back on most rings, and one tile of all rows.
@pytest.mark.parametrize(
  ('tile', 'dtype', 'rtol'),
  [
    ((5, 7), jnp.float64, 1e-12),
    ((16, 11), jnp.float32, 1e-4),
    ((1000, 1000), jnp.float64, 1e-12),
  ],
)
def test_every_pair_is_shown_once(random, ring, lay, tile, dtype, rtol):
  x, y = random.standard_normal((2, 60, 6))
  x, origin = x[:36], random.standard_normal(6)
  mask_x, mask_y = some(random, 36), some(random, 60)
  x[~mask_x], y[~mask_y] = np.nan, np.nan
  weights_x, weights_y = random.random(36), random.random(60)
  rows = lay(ring, x, mask_x), lay(ring, y, mask_y), weights_x, weights_y
  to_x, to_y = CROSS(rows, origin, dtype=dtype, tile=tile)
  products = (x[mask_x] - origin) @ (y[mask_y] - origin).T
  for found, expected in (
    (np.asarray(to_x)[mask_x], products @ weights_y[mask_y]),
    (np.asarray(to_y)[mask_y], weights_x[mask_x] @ products),
  ):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)


# Twelve rows are three on a device at least, of which some have none.
@pytest.mark.parametrize(('n', 'tile'), [(12, 5), (48, 5), (48, 7), (48, 1000)])
def test_every_own_pair_is_shown_to_both(random, ring, lay, n, tile):
  x, weights, mask = (
    random.standard_normal((n, 6)),
    random.random(n),
    some(random, n),
  )
  x[~mask] = np.nan
  options = {'dtype': jnp.float64, 'tile': (tile, tile)}
  total = OWN((lay(ring, x, mask), weights), np.zeros(6), **options)
  products = x[mask] @ x[mask].T
  np.fill_diagonal(products, 0)
  np.testing.assert_allclose(
    np.asarray(total)[mask], products @ weights[mask], rtol=1e-12, atol=1e-12
  )


def test_sets_of_other_counts_share_a_program(random, mesh, compiled):
  x = random.standard_normal((900, 6))
  weights = np.ones(1000 * mesh.devices.size)
  fold = pair_program()(weighted_products)
  programs = []
  for n, m in ((900, 40), (40, 900), (0, 1)):
    sides = [shard_rows(mesh, x[:size]) for size in (n, m)]
    rows = *sides, weights, weights
    to_x, to_y = fold(rows, np.zeros(6), dtype=jnp.float64)
    programs.append(len(compiled))
    found = np.asarray(to_x)[np.asarray(sides[0].mask)]
    expected = x[:n] @ x[:m].sum(0)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
      np.asarray(to_y).sum(), expected.sum(), rtol=1e-9, atol=1e-9
    )
  assert programs[0] > 0
  assert programs == programs[:1] * 3


class Bar:
  """Counts what a progress bar is told."""

  def __init__(self, total, **_):
    self.total, self.done = total, 0

  def __enter__(self):
    return self

  def __exit__(self, *_):
    pass

  def update(self):
    self.done += 1


def test_a_long_fold_shows_its_progress(random, mesh, lay, monkeypatch):
  x, y = random.standard_normal((2, 48, 6))
  everyone, weights = np.ones(48, bool), np.ones(48)
  x, y = (lay(mesh, side, everyone) for side in (x, y))
  bars = []

  def bar(**options):
    bars.append(Bar(**options))
    return bars[-1]

  monkeypatch.setattr(pairs, 'progress', bar)
  folds = (CROSS, (x, y, weights, weights)), (OWN, (x, weights))
  for fold, rows in folds:
    options = {'dtype': jnp.float64, 'tile': (5, 5)}
    monkeypatch.setattr(pairs, '_LONG', np.inf)
    short = fold(rows, np.zeros(6), **options)
    assert not bars
    monkeypatch.setattr(pairs, '_LONG', 0)
    shown = fold(rows, np.zeros(6), **options)
    jax.tree.map(
      functools.partial(np.testing.assert_allclose, rtol=1e-12), shown, short
    )
    assert bars[-1].done == bars[-1].total > 1
    bars.clear()


@pytest.mark.parametrize(
  ('fold', 'sides'), [(weighted_products, 2), (weighted_own_products, 1)]
)
def test_a_fold_that_shows_its_progress_copies_no_set(fold, sides):
  x = as_rows(jnp.zeros((4096, 512), np.float32))
  mesh = mesh_lib.mesh_of(x.values)
  # As ``program`` makes it, but held on to, to ask for its memory.
  whole = jax.shard_map(
    functools.partial(fold, walk=Walk((128, 128), jnp.float32, shown=True)),
    mesh=mesh,
    in_specs=(mesh_lib.ROWS, mesh_lib.REPLICATED),
    out_specs=mesh_lib.ROWS,
    check_vma=False,
  )
  rows = *[x] * sides, *[np.zeros(4096, np.float32)] * sides
  program = jax.jit(whole).lower(rows, np.zeros(512))
  options = mesh_lib.tile_options(mesh)
  found = program.compile(compiler_options=options).memory_analysis()
  assert found.temp_size_in_bytes < x.values.nbytes / 4
