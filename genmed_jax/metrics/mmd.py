"""Maximum mean discrepancy with the polynomial kernel: KID and full form."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax import mesh as mesh_lib
from genmed_jax.mesh import as_rows, Rows, to_host
from genmed_jax.metrics.folds import check_features, fold_pairs

DEGREE = 3
OFFSET = 1.0
SUBSETS = 100
SUBSET_SIZE = 1000


class MMD(NamedTuple):
  """Squared discrepancy, its ``std_error``, and the spread over subsets."""

  value: float
  std_error: float
  subset_std: float | None = None


class _Columns(NamedTuple):
  """For each of S weightings: MMD² and the two jackknife variances, ``[S]``."""

  value: np.ndarray
  variance_x: np.ndarray
  variance_y: np.ndarray


def polynomial_mmd(x, y, *, mask_x=None, mask_y=None) -> MMD:
  r"""Unbiased polynomial MMD² of the whole sets, KID without the subsets.

  .. math::
    \frac{\sum_{i \ne j} k(x_i, x_j)}{n(n-1)}
      + \frac{\sum_{i \ne j} k(y_i, y_j)}{m(m-1)}
      - \frac{2 \sum_{ij} k(x_i, y_j)}{nm}, \quad
    k(a, b) = (a \cdot b / d + 1)^3

  Kernel values are summed in float64, tile by tile. The standard error is
  the jackknife of the U-statistic: the spread of
  :math:`2(\bar k_x(x_i) - \bar k_y(x_i))` over images, both sets.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    mask_x: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    :class:`MMD`; lower is better, unbiased, so slightly negative for equal
    distributions.

  Raises:
    ValueError: if the widths differ or a set has fewer than two images.

  References:
    Gretton et al., 2012, eq. 3; Bińkowski et al., 2018, section 4.
  """
  with jax.enable_x64(True):
    x, y = _checked(x, y, mask_x, mask_y)
    n, m = int(x.mask.sum()), int(y.mask.sum())
    sums = _weighted_mmd(x, y, np.ones((n, 1)), np.ones((m, 1)))
    variance = sums.variance_x / n + sums.variance_y / m
    return MMD(float(sums.value[0]), float(np.sqrt(variance[0])))


def kid(
  x,
  y,
  *,
  subsets: int = SUBSETS,
  subset_size: int = SUBSET_SIZE,
  seed: int = 2020,
  mask_x=None,
  mask_y=None,
) -> MMD:
  r"""Kernel Inception Distance: mean polynomial MMD² over random subsets.

  Each subset pair has ``min(subset_size, n, m)`` images of each set, drawn
  without replacement from numpy's ``RandomState(seed)``, real set first: the
  draws torch-fidelity makes with the real set as its first input. While the
  sets are small beside the subsets, all subsets are read out of one pass over
  the kernel, as 0/1 weights that multiply it; beyond that each is gathered.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    subsets: How many pairs of subsets.
    subset_size: Images in each, at most.
    seed: Of the draws.
    mask_x: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    :class:`MMD`; lower is better, unbiased. ``std_error`` is that of the
    mean as an estimate over images (the U-statistic's jackknife, up to half
    too wide between equal distributions and more with subsets of a few dozen)
    plus what drawing finitely many subsets
    adds. ``subset_std``, which others report as the error, is the spread of
    one subset's value, and is zero when a subset is the whole set.

  Raises:
    ValueError: if the widths differ or a set has fewer than two images.

  References:
    Bińkowski et al., 2018, section 4.
  """
  with jax.enable_x64(True):
    x, y = _checked(x, y, mask_x, mask_y)
    n, m = int(x.mask.sum()), int(y.mask.sum())
    size = min(subset_size, n, m)
    random = np.random.RandomState(seed)
    draws = [
      [random.choice(count, size, replace=False) for count in (n, m)]
      for _ in range(subsets)
    ]
    chosen_x, chosen_y = (np.stack(d) for d in zip(*draws, strict=True))
    if n * n + m * m + n * m <= 3 * subsets * size * size:
      columns = _weighted_mmd(
        x, y, _indicators(chosen_x, n), _indicators(chosen_y, m)
      )
    else:
      everyone = np.ones((size, 1))
      pairs = zip(chosen_x, chosen_y, strict=True)
      each = [
        _weighted_mmd(_gather(x, i), _gather(y, j), everyone, everyone)
        for i, j in pairs
      ]
      columns = _Columns(*(np.concatenate(c) for c in zip(*each, strict=True)))
    spread = np.std(columns.value)
    variance = (
      columns.variance_x.mean() / n
      + columns.variance_y.mean() / m
      + spread**2 / subsets
    )
    return MMD(
      float(columns.value.mean()), float(np.sqrt(variance)), float(spread)
    )


def _checked(x, y, mask_x, mask_y) -> tuple[Rows, Rows]:
  x, y = as_rows(x, mask_x), as_rows(y, mask_y)
  check_features(x, y)
  return x, y


def _weighted_mmd(x: Rows, y: Rows, weights_x, weights_y) -> _Columns:
  """MMD² of the images that each column of 0/1 weights picks."""
  weights_x, weights_y = _lay(x, weights_x), _lay(y, weights_y)
  update = _kernel_update(x.values.shape[1])
  x_to_x, y_to_y = (
    fold_pairs(
      rows,
      rows,
      update,
      row_info=weights,
      column_info=weights,
      row_state=jnp.zeros_like(weights),
    )[0]
    for rows, weights in ((x, weights_x), (y, weights_y))
  )
  x_to_y, y_to_x = fold_pairs(
    x,
    y,
    update,
    row_info=weights_x,
    column_info=weights_y,
    row_state=jnp.zeros_like(weights_x),
    column_state=jnp.zeros_like(weights_y),
  )
  value_x, variance_x = _own_half(x, weights_x, x_to_x, x_to_y, weights_y)
  value_y, variance_y = _own_half(y, weights_y, y_to_y, y_to_x, weights_x)
  return _Columns(*map(to_host, (value_x + value_y, variance_x, variance_y)))


@functools.cache
def _kernel_update(width: int):
  """Adds ``K @ column weights`` and ``K.T @ row weights`` to the states."""

  def update(products, valid, row_weights, column_weights, to_row, to_column):
    kernel = jnp.where(valid, (products / width + OFFSET) ** DEGREE, 0.0)
    return (
      to_row + kernel @ column_weights,
      jax.tree.map(lambda sums: sums + kernel.T @ row_weights, to_column),
    )

  return update


@jax.jit
def _own_half(x: Rows, weights, own_sums, cross_sums, other_weights):
  """One set's share of MMD² and its jackknife variance, both ``[S]``."""
  squares = jnp.sum(x.values.astype(jnp.float64) ** 2, axis=1)
  diagonal = (squares / x.values.shape[1] + OFFSET) ** DEGREE
  size, other_size = weights.sum(0), other_weights.sum(0)
  own = (own_sums - weights * diagonal[:, None]) / (size - 1)
  slope = weights * (own - cross_sums / other_size)
  value = slope.sum(0) / size
  spread = weights * (slope - value) ** 2
  return value, 4 * spread.sum(0) / (size - 1)


def _lay(x: Rows, weights: np.ndarray) -> jax.Array:
  """Moves weights ``[count, S]`` to the rows that count, ``[n, S]``."""
  mask = to_host(x.mask)
  laid = np.zeros((len(mask), weights.shape[1]))
  laid[mask] = weights
  return mesh_lib.put_rows(x, laid)


def _indicators(chosen: np.ndarray, count: int) -> np.ndarray:
  """0/1 weights ``[count, S]`` of the indices ``[S, size]``."""
  weights = np.zeros((count, len(chosen)))
  weights[chosen, np.arange(len(chosen))[:, None]] = 1.0
  return weights


def _gather(x: Rows, chosen: np.ndarray) -> Rows:
  """The chosen ones, ``[size]``, of the rows that count, laid out anew."""
  return mesh_lib.take_rows(x, np.flatnonzero(to_host(x.mask))[chosen])
