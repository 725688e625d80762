"""C_T, the three-sample test for data copying."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import as_feature_set, on_feature_sets
from genmed_jax.engine.moments import moments
from genmed_jax.engine.nearest import search
from genmed_jax.engine.rows import host_rows, map_rows
from genmed_jax.errors import Undefined
from genmed_jax.metrics.base import Aspect, Comparison, Measured, Metric
from genmed_jax.metrics.memorisation import held_out_note
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import Estimate

CELLS = 3
COMPONENTS = 64
_FEWEST = 20  # Generated images in a cell that counts.
_STARTS = 10  # Of k-means, of which the best is kept.
_ITERATIONS = 10  # Of each start; the best goes on.


@on_feature_sets
def copying_test(
  train: FeatureSet,
  test: FeatureSet,
  y: FeatureSet,
  *,
  cells: int = CELLS,
  components: int = COMPONENTS,
  seed: int = 2020,
) -> Estimate:
  r"""Meehan's C_T: are generated images nearer to training ones than real are?

  Features are projected on the ``components`` principal axes of the training
  set, which is cut into cells by k-means. In each cell the distances to the
  nearest training image there are compared, generated q against test p, by
  the Mann-Whitney statistic :math:`U = \#\{q > p\}` in standard units, and

  .. math::
    C_T = \frac{\sum_c \pi_c Z_c}{\sum_c \pi_c}, \quad
    Z_c = \frac{U_c - (mn / 2 - 1/2)}{\sqrt{mn (m + n + 1) / 12}}

  over the cells with more than 20 generated images, :math:`\pi_c` being the
  cell's share of the test images and m, n its images. Principal axes are
  exact and k-means is seeded, where others leave both to chance.

  Args:
    train: Features the generator was trained on, ``[l, d]``.
    test: Held-out real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    cells: How many.
    components: Principal axes kept; all where d is no larger.
    seed: Of k-means.

  Returns:
    The statistic, in standard normal units under the null: far below 0 for
    copying, far above 0 for underfitting. It grows like the root of the sample
    size. The error is that of the U-statistics over images, cells held fixed.

  Raises:
    ValueError: if the widths differ, a feature is not finite or no cell has
      images of all three sets to compare (``Undefined``).

  References:
    Meehan et al., 2020, definitions 4.1 and 4.2.
  """
  reduced = _principal([train, test, y], components)
  # Axes have the digits of float32: equal distances come out unequal.
  rounding = 8 * np.finfo(np.float32).eps * np.abs(reduced[0]).max(initial=0)
  resolution = max(rounding, *(s.resolution for s in (train, test, y)))
  labels = _cells(reduced, cells, seed)
  return copying_test_in_cells(*reduced, *labels, resolution=resolution)


def copying_test_in_cells(
  train: np.ndarray,
  test: np.ndarray,
  y: np.ndarray,
  train_cells: np.ndarray,
  test_cells: np.ndarray,
  y_cells: np.ndarray,
  *,
  resolution: float = 0.0,
) -> Estimate:
  """:func:`copying_test` of features that are reduced and cut already.

  Distances within the resolution of each other are ties.
  """
  total = weight = variance = 0.0
  cells = np.unique(train_cells)
  among, real, made = (
    [images[places == cell] for cell in cells]
    for images, places in (
      (train, train_cells),
      (test, test_cells),
      (y, y_cells),
    )
  )
  if min(map(len, real)) == 0:
    raise Undefined('a cell of the training images has no test image')
  kept = [cell for cell, images in enumerate(made) if len(images) > _FEWEST]
  if not kept:
    raise Undefined(f'no cell has more than {_FEWEST} generated images')
  nearest = _to_nearest(
    [np.concatenate([made[cell], real[cell]]) for cell in kept],
    [among[cell] for cell in kept],
  )
  for cell, distances in zip(kept, nearest, strict=True):
    share = len(real[cell]) / len(test)
    statistic, error = _mann_whitney(
      *np.split(distances, [len(made[cell])]), resolution
    )
    total += share * statistic
    variance += (share * error) ** 2
    weight += share
  return Estimate(total / weight, float(np.sqrt(variance)) / weight)


def _to_nearest(
  images: list[np.ndarray], among: list[np.ndarray]
) -> list[np.ndarray]:
  """Distances of the images of each cell to the nearest of others there."""
  # About the mean of the training set, and narrow: float64 takes no longer
  # than float32 and a second look.
  origin = np.zeros(among[0].shape[1])
  with jax.enable_x64(True):
    sets = (list(map(as_feature_set, cells)) for cells in (images, among))
    found = search(*sets, origin=origin, dtype=jnp.float64)
    return [np.sqrt(cell.squared[:, 0]) for cell in found]


def _principal(sets: list[FeatureSet], components: int) -> list[np.ndarray]:
  """Features on the principal axes of the first set, host float64."""
  if sets[0].width <= components:
    mean = sets[0].statistics.mean
    return [each.to_host() - mean for each in sets]
  mean, axes = sets[0].get(_leading, count=components)
  return [
    host_rows(map_rows(each.rows, _project, (mean, axes)), each.rows.mask)
    for each in sets
  ]


def _leading(x: FeatureSet, *, count: int) -> tuple[np.ndarray, np.ndarray]:
  """Mean ``[d]`` and leading principal axes ``[d, count]``."""
  if x.count < x.width:
    rows = x.to_host().astype(np.float64)
    mean = rows.mean(0)
    rows -= mean
    squares, vectors = _largest(rows @ rows.T, min(count, len(rows) - 1))
    rounding = len(rows) * np.finfo(np.float64).eps
    kept = squares > rounding * max(squares[-1], 0.0)
    return mean, rows.T @ (vectors[:, kept] / np.sqrt(squares[kept]))
  fit = moments(x.rows)
  # Which way the axes point needs no more digits than float32 has.
  return fit.mean, _largest(np.float32(fit.scatter), count)[1]


def _largest(symmetric: np.ndarray, count: int):
  """Eigenvalues ``[count]``, ascending, and vectors ``[d, count]``."""
  size = len(symmetric)
  return scipy.linalg.eigh(symmetric, subset_by_index=(size - count, size - 1))


def _project(row, context):
  mean, axes = context
  return (row - mean) @ axes


def _cells(sets: list[np.ndarray], cells: int, seed: int) -> list[np.ndarray]:
  """The cell of every image, of the k-means of the first set."""
  if len(sets[0]) < cells:
    raise Undefined(f'{cells} cells need as many training images')
  random = np.random.default_rng(seed)
  starts = (
    _k_means(sets[0], cells, iter=_ITERATIONS, minit='++', seed=random)
    for _ in range(_STARTS)
  )
  _, best = min(starts, key=lambda found: found[0])
  _, centres = _k_means(
    sets[0], best, iter=_STARTS * _ITERATIONS, minit='matrix'
  )
  return [
    np.argmin(np.sum(centres**2, axis=1) - 2 * features @ centres.T, axis=1)
    for features in sets
  ]


def _k_means(features: np.ndarray, start, **options):
  """Mean squared distance to the nearest centre, and the centres."""
  from scipy.cluster import vq

  centres, labels = vq.kmeans2(features, start, **options)
  return np.mean((features - centres[labels]) ** 2), centres


def _mann_whitney(
  q: np.ndarray, p: np.ndarray, resolution: float
) -> tuple[float, float]:
  """Standardised count of pairs with q > p, ties half, and its error."""
  m, n = len(q), len(p)
  above = _exceeded(q, p, resolution)
  below = m - _exceeded(p, q, resolution)
  unit = np.sqrt(m * n * (m + n + 1) / 12)
  value = (above.sum() - (m * n / 2 - 0.5)) / unit
  error = np.sqrt(np.var(above) * m + np.var(below) * n) / unit
  return float(value), float(error)


def _exceeded(
  values: np.ndarray, others: np.ndarray, resolution: float
) -> np.ndarray:
  """Number of the others that each value exceeds; a tie counts a half."""
  others = np.sort(others)
  below = np.searchsorted(others, values - resolution, 'left')
  up_to = np.searchsorted(others, values + resolution, 'right')
  return (below + up_to) / 2


def _score(
  c: Comparison, train: FeatureSet, test: FeatureSet, y: FeatureSet
) -> Measured:
  found = copying_test(train, test, y, seed=c.seed)
  return Measured.of(found, *held_out_note(c))


def _ct(c: Comparison) -> Measured:
  train, test = c.held_out
  return _score(c, train, test, c.generated)


def _ct_mem(c: Comparison) -> Measured:
  train, test = c.held_out
  return _score(c, c.generated, test, train)


def _ct_mode(c: Comparison) -> Measured:
  _, test = c.held_out
  half = test.count // 2
  random = np.random.default_rng(c.seed)
  one, other = test.draw(random, test.count - half, half)
  return _score(c, one, other, c.generated)


METRICS = tuple(
  Metric(
    name=name,
    aspect=Aspect.MEMORISATION,
    direction=Direction.ZERO,
    measure=measure,
    headline=name == 'ct',
    takes_long=True,
  )
  for name, measure in (('ct', _ct), ('ct_mode', _ct_mode), ('ct_mem', _ct_mem))
)
