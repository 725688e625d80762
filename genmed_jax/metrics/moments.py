"""Mean and covariance of a feature set."""

from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

from genmed_jax.mesh import Rows
from genmed_jax.metrics.folds import fold_rows


class Moments(NamedTuple):
  """``count []``, ``mean [d]`` and ``scatter [d, d]``, float64.

  ``scatter`` is the sum of centred outer products: ``n - 1`` times the
  unbiased covariance.
  """

  count: jax.Array
  mean: jax.Array
  scatter: jax.Array


def row_mean(x: Rows) -> tuple[jax.Array, jax.Array]:
  """Count ``[]`` and mean ``[d]`` of the rows that count, float64."""
  width = x.values.shape[1]
  count, total = fold_rows(x, _add, (jnp.zeros(()), jnp.zeros(width)))
  return count, total / count


def moments(x: Rows) -> Moments:
  r"""Count, mean and scatter of the rows of ``x`` that count.

  .. math:: S = \sum_i (x_i - \bar x)(x_i - \bar x)^\top

  Centred before it is squared and summed in float64, so neither a common
  offset nor the order, tiling or placement of the rows shows in the result
  beyond 1e-14. Call with x64 enabled.
  """
  count, mean = row_mean(x)
  width = x.values.shape[1]
  scatter = fold_rows(x, _add_outer, jnp.zeros((width, width)), context=mean)
  return Moments(count, mean, scatter)


def _add(values, valid, info, context, state):
  del info, context
  weight = valid.astype(values.dtype)
  return state[0] + weight.sum(), state[1] + weight @ values


def _add_outer(values, valid, info, mean, scatter):
  del info
  centred = jnp.where(valid[:, None], values - mean, 0.0)
  return scatter + jnp.matmul(
    centred.T, centred, precision=lax.Precision.HIGHEST
  )
