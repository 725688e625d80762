"""Nearest neighbours and neighbourhood balls of two feature sets.

One pass over (real, real), one over (generated, generated) and one over
(real, generated) serve every neighbour metric. Squared distances are float64
and taken about the real set's mean, so that a common offset costs no digits.
What rounding cannot tell apart is equal: exact copies are at distance zero,
and a copy of a ball's k-th neighbour lies on its surface, not inside.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.mesh import as_rows, Rows, to_host
from genmed_jax.metrics.folds import check_features, fold_pairs
from genmed_jax.metrics.moments import row_mean

# What the product form may be off by, in units of ‖x‖² + ‖y‖². The worst of a
# million pairs at d = 64, 768 and 2048 was off by 16 * 2**-53.
_ROUNDING = 64 * 2.0**-53


class Side(NamedTuple):
  """What one set sees of itself and of the other; host arrays ``[n]``.

  Attributes:
    radius: Squared distance to the k-th neighbour in its own set.
    nearest_own: Squared distance to the nearest neighbour in its own set.
    held_by: How many balls of the other set hold this point.
    nearest: Squared distance to the nearest point of the other set.
    nearest_index: Row of that point in the other set; the first, if tied.
  """

  radius: np.ndarray
  nearest_own: np.ndarray
  held_by: np.ndarray
  nearest: np.ndarray
  nearest_index: np.ndarray


class Neighbourhoods(NamedTuple):
  """Both sides of the relation between a real and a generated set.

  Attributes:
    real: What the real set sees.
    generated: What the generated set sees.
    realism: ``[m]``, see ``manifold.realism``.
    k: Which neighbour set the radii.
  """

  real: Side
  generated: Side
  realism: np.ndarray
  k: int


def neighbourhoods(
  x, y, *, k: int = 5, realism_k: int = 3, mask_x=None, mask_y=None
) -> Neighbourhoods:
  """Neighbourhoods of ``x`` and ``y``: the work behind every kNN metric.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    k: The ball around a point reaches to its k-th neighbour in its own set,
      not counting itself.
    realism_k: The same for the balls that realism is measured by.
    mask_x: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    :class:`Neighbourhoods` of the rows that count, in order; squared
    distances in float64. Memory is that of the inputs and ``O(n + m)``.

  Raises:
    ValueError: if the widths differ, or a set has no k-th neighbour
      (``TooFewImages``).
  """
  with jax.enable_x64(True):
    x, y = as_rows(x, mask_x), as_rows(y, mask_y)
    check_features(x, y, at_least=max(k, realism_k) + 1)
    _, origin = row_mean(x)
    info_x, info_y = _info(x, origin), _info(y, origin)
    own_x = _own_distances(x, max(k, realism_k), origin, info_x)
    own_y = _own_distances(y, k, origin, info_y)
    ball = _smaller_half(own_x[:, realism_k - 1], x.mask)
    seen_x, seen_y = fold_pairs(
      x,
      y,
      _update_cross,
      origin=origin,
      row_info=info_x | {'radius': own_x[:, k - 1], 'ball': ball},
      column_info=info_y | {'radius': own_y[:, k - 1]},
      row_state=_unseen(x),
      column_state=_unseen(y)
      | {'realism': jnp.zeros_like(y.mask, jnp.float64)},
    )
    realism = np.sqrt(to_host(seen_y.pop('realism'))[to_host(y.mask)])
    return Neighbourhoods(
      _side(x.mask, own_x[:, :k], seen_x, y.mask),
      _side(y.mask, own_y, seen_y, x.mask),
      realism,
      k,
    )


@jax.jit
def _smaller_half(radius, mask):
  """Radii below the median of those that count; 0 for the rest."""
  median = jnp.nanmedian(jnp.where(mask, radius, jnp.nan))
  return jnp.where(mask & (radius < median), radius, 0.0)


def _side(mask, own, seen, other_mask) -> Side:
  """Brings one side to the host, without its padding."""
  mask, other_mask, own, seen = jax.tree.map(
    to_host, (mask, other_mask, own, seen)
  )
  seen = {name: values[mask] for name, values in seen.items()}
  rank = np.cumsum(other_mask) - 1
  seen['nearest_index'] = rank[seen['nearest_index']]
  return Side(own[mask, -1], own[mask, 0], **seen)


def _own_distances(x: Rows, k: int, origin, info) -> jax.Array:
  """The ``k`` smallest squared distances to other rows, ``[n, k]``."""
  unseen = jnp.full_like(x.mask, jnp.inf, jnp.float64)
  smallest, _ = fold_pairs(
    x,
    x,
    _update_own,
    origin=origin,
    row_info=info,
    column_info=info,
    row_state=jnp.repeat(unseen[:, None], k, axis=1),
  )
  return smallest


@jax.jit
def _info(x: Rows, origin) -> dict[str, jax.Array]:
  centred = x.values.astype(jnp.float64) - origin
  return {
    'index': jnp.arange(x.mask.shape[0]),
    'norm': jnp.sum(centred**2, axis=1),
  }


def _unseen(x: Rows) -> dict[str, jax.Array]:
  return {
    'held_by': jnp.zeros_like(x.mask, jnp.int64),
    'nearest': jnp.full_like(x.mask, jnp.inf, jnp.float64),
    'nearest_index': jnp.zeros_like(x.mask, jnp.int64),
  }


def _squared_distances(products, valid, row, column):
  """Squared distances ``[a, b]``, inf where not valid, and their rounding."""
  norms = row['norm'][:, None] + column['norm']
  rounding = _ROUNDING * norms
  squared = norms - 2 * products
  squared = jnp.where(squared <= rounding, 0.0, squared)
  return jnp.where(valid, squared, jnp.inf), rounding


def _update_own(products, valid, row, column, smallest, _):
  valid &= row['index'][:, None] != column['index']
  squared, _ = _squared_distances(products, valid, row, column)
  k = smallest.shape[1]
  both = jnp.concatenate([smallest, _k_smallest(squared, k)], axis=1)
  return jnp.sort(both, axis=1)[:, :k], ()


def _k_smallest(values: jax.Array, k: int) -> jax.Array:
  """The ``k`` smallest of each row, repeats included, ``[a, b] -> [a, k]``.

  Rounds of minimum and count: several times faster on CPU than ``top_k``.
  """
  found = jnp.full_like(values[:, 0], -jnp.inf)
  distinct, counts = [], []
  for _ in range(k):
    rest = jnp.where(values > found[:, None], values, jnp.inf)
    found = rest.min(axis=1)
    distinct.append(found)
    counts.append(jnp.sum(values == found[:, None], axis=1))
  upto = jnp.cumsum(jnp.stack(counts, 1), axis=1)  # [a, k]
  rank = jnp.arange(k)[:, None, None]
  return jnp.where(upto > rank, jnp.stack(distinct, 1), jnp.inf).min(2).T


def _update_cross(products, valid, row, column, seen_row, seen_column):
  squared, rounding = _squared_distances(products, valid, row, column)
  in_ball_of_row = squared + rounding < row['radius'][:, None]
  in_ball_of_column = squared + rounding < column['radius']
  ball = row['ball'][:, None]
  realism = jnp.where(valid & (ball > 0), ball / squared, 0.0).max(axis=0)
  so_far = seen_column['realism']
  return (
    _look(seen_row, squared, in_ball_of_column, column['index']),
    _look(seen_column, squared.T, in_ball_of_row.T, row['index'])
    | {'realism': jnp.maximum(so_far, realism)},
  )


def _look(seen, squared, held, index):
  """Adds to what each row has seen the points along axis 1."""
  nearest = squared.min(axis=1)
  first = jnp.where(squared == nearest[:, None], index, jnp.iinfo(index).max)
  first = first.min(axis=1)
  nearer = nearest < seen['nearest']
  tied = nearest == seen['nearest']
  return {
    'held_by': seen['held_by'] + held.sum(axis=1),
    'nearest': jnp.minimum(nearest, seen['nearest']),
    'nearest_index': jnp.where(
      nearer,
      first,
      jnp.where(
        tied, jnp.minimum(first, seen['nearest_index']), seen['nearest_index']
      ),
    ),
  }
