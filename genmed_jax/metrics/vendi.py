"""Vendi score: the effective number of different images in a set."""

from collections.abc import Sequence

from jax import lax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import on_feature_sets
from genmed_jax.engine.moments import outer_products
from genmed_jax.engine.rows import host_rows, map_rows
from genmed_jax.metrics.base import Aspect, Comparison, Measured, Metric
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import Estimate

ORDERS = (0.5, 1.0, 2.0, np.inf)


@on_feature_sets
def vendi_score(
  y: FeatureSet,
  *,
  orders: Sequence[float] = ORDERS,
  std_error: bool = False,
) -> dict[float, Estimate]:
  r"""Vendi scores of a set under the cosine kernel.

  With :math:`\lambda` the eigenvalues of K/m, K the cosines between images,

  .. math:: V_q = \Bigl(\sum_k \lambda_k^q\Bigr)^{1/(1-q)}, \quad
    V_1 = e^{-\sum \lambda \log \lambda}, \quad V_\infty = 1 / \lambda_{\max}

  The eigenvalues are those of the d x d Gram matrix of the unit rows where it
  is the smaller one, so K is never formed for a large set. q = 2, alone, needs
  no eigenvalues: it is :func:`rke`.

  The standard error is the infinitesimal jackknife; the score's slope by the
  weight of an image is a quadratic form of it in the eigenvectors. It is not
  defined for q < 1 where eigenvalues vanish, whose slopes have no bound.

  Args:
    y: Features, ``[m, d]``. A row of zeros has no direction: it is like other
      rows of zeros and like nothing else.
    orders: Which q, each positive.
    std_error: Whether to compute the standard errors too.

  Returns:
    An :class:`Estimate` for every order, from 1 (copies of one image) to m;
    higher is more diverse. It grows with m: compare at equal m.

  Raises:
    ValueError: if a feature is not finite, an order not positive or there are
      fewer than two images.

  References:
    Friedman & Dieng, 2023, definition 3.1; Pasarkar & Dieng, 2024, eq. 2.
  """
  if min(orders) <= 0:
    raise ValueError(f'orders must be positive, not {orders}')
  count = y.count
  if count < y.width:
    unit = unit_rows(y.to_host().astype(np.float64), np)
    unit = np.column_stack([unit, ~unit.any(axis=1)])
    gram = unit @ unit.T / count
  else:
    unit, gram = None, _gram(y) / count
  if not std_error:
    value = _scores(np.linalg.eigvalsh(gram), orders)
    return dict(zip(orders, map(Estimate, value.tolist()), strict=True))
  eigenvalues, vectors = scipy.linalg.eigh(gram, driver='evd')
  value = _scores(eigenvalues, orders)
  slopes = _slopes(np.maximum(eigenvalues, 0.0), value, orders)
  if unit is not None:
    # Rows of the m x m vectors, rescaled, are the projections.
    squares = count * np.maximum(eigenvalues, 0.0) * vectors**2
    influence = squares @ slopes
  else:
    projected = map_rows(y.rows, _project, (vectors, slopes))
    influence = host_rows(projected, y.rows.mask)
  error = influence.std(axis=0, ddof=1) / np.sqrt(count)
  found = map(Estimate, value.tolist(), error.tolist())
  return dict(zip(orders, found, strict=True))


@on_feature_sets
def rke(y: FeatureSet) -> Estimate:
  r"""Rényi kernel entropy score: the Vendi score of order 2.

  .. math:: 1 / \sum_{ij} (K_{ij} / m)^2 = 1 / \|\tfrac1m Y^\top Y\|_F^2

  over unit rows, without an eigendecomposition. Rows of zeros count as in
  :func:`vendi_score`.

  Args:
    y: Features, ``[m, d]``.

  Returns:
    :class:`Estimate` without an error, from 1 to m; higher is more diverse.

  Raises:
    ValueError: if a feature is not finite or there are fewer than two images.

  References:
    Jalali et al., 2023, section 4.
  """
  return Estimate(y.count**2 / float(np.sum(_gram(y) ** 2)))


def unit_rows(rows, xp):
  """Rows of length one, in single precision or better; rows of zeros stay."""
  # Squares of half precision overflow at 256.
  rows = rows.astype(xp.promote_types(rows.dtype, xp.float32), copy=False)
  norms = xp.sqrt(xp.sum(rows**2, axis=-1, keepdims=True))
  return rows / xp.where(norms > 0, norms, 1.0)


def _gram(y: FeatureSet) -> np.ndarray:
  """Gram matrix of the unit rows, ``[d + 1, d + 1]``.

  Rows of zeros have the last axis to themselves.
  """
  gram = np.pad(outer_products(y.rows, _unit_tile, ()), (0, 1))
  gram[-1, -1] = y.count - np.rint(gram.trace())
  return gram


def _unit_tile(values, context):
  del context
  return unit_rows(values, jnp)


def _project(row, context):
  vectors, slopes = context
  unit = jnp.append(unit_rows(row, jnp), 1.0 - row.any())
  along = jnp.matmul(unit, vectors, precision=lax.Precision.HIGHEST)
  return jnp.matmul(along**2, slopes, precision=lax.Precision.HIGHEST)


def _scores(eigenvalues, orders) -> np.ndarray:
  eigenvalues = eigenvalues[eigenvalues > _rounding(eigenvalues)]
  return np.array([_score(eigenvalues, order) for order in orders])


def _rounding(eigenvalues) -> float:
  """Eigenvalues up to here are zeros of a rank-deficient matrix."""
  return len(eigenvalues) * np.finfo(np.float64).eps * eigenvalues[-1]


def _score(eigenvalues, order) -> float:
  if order == 1:
    return np.exp(-np.sum(eigenvalues * np.log(eigenvalues)))
  if np.isinf(order):
    return 1 / eigenvalues.max()
  return np.sum(eigenvalues**order) ** (1 / (1 - order))


def _slopes(eigenvalues, value, orders) -> np.ndarray:
  """Change of each score by the weight along each eigenvector, ``[r, q]``."""
  kept = eigenvalues > _rounding(eigenvalues)
  safe = np.where(kept, eigenvalues, 1.0)
  columns = []
  for score, order in zip(value, orders, strict=True):
    if order == 1:
      slope = -score * (np.log(safe) + 1)
    elif np.isinf(order):
      slope = np.where(eigenvalues == eigenvalues[-1], -(score**2), 0.0)
    else:
      power = np.sum(safe[kept] ** order)
      slope = score * order / (1 - order) * safe ** (order - 1) / power
    columns.append(np.where(kept, slope, 0.0))
  return np.stack(columns, axis=1)


def _of_generated(c: Comparison) -> dict[float, Estimate]:
  return vendi_score(c.generated, std_error=c.bootstrap > 0)


def _metric(name: str, order: float) -> Metric:
  def measure(c: Comparison) -> Measured:
    return Measured.of(c.get(_of_generated)[order])

  return Metric(
    name=name,
    aspect=Aspect.COVERAGE,
    direction=Direction.HIGHER,
    measure=measure,
    within=(1.0, np.inf),
    headline=order == 1.0,
    takes_long=True,
    split_worth=0.6,
  )


METRICS = tuple(
  _metric(name, order)
  for name, order in (
    ('vendi', 1.0),
    ('vendi_0.5', 0.5),
    ('vendi_inf', np.inf),
    ('rke', 2.0),
  )
)
