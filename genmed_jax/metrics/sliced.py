"""Sliced Wasserstein distances by random projections."""

from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import on_feature_sets
from genmed_jax.engine.mesh import ROWS, to_host
from genmed_jax.engine.platforms import platform_of
from genmed_jax.engine.program import program
from genmed_jax.engine.rows import host_rows
from genmed_jax.engine.tiles import end_of, map_tiles
from genmed_jax.metrics.base import Aspect, Comparison, Measured, Metric
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import Estimate

PROJECTIONS = 1000
_AT_ONCE = 100  # Projections held at a time.
_TILE = 1000  # Images projected at a time.
_INFLUENCES = 100  # Projections behind the error due to images.


class SlicedDistances(NamedTuple):
  """``sw1`` and ``sw2`` in feature units, ``mind`` in squared ones."""

  sw1: Estimate
  sw2: Estimate
  mind: Estimate


@on_feature_sets
def sliced_distances(
  x: FeatureSet,
  y: FeatureSet,
  *,
  projections: int = PROJECTIONS,
  seed: int = 2020,
  std_error: bool = True,
) -> SlicedDistances:
  r"""Monte-Carlo sliced Wasserstein distances of order 1 and 2, and MIND.

  .. math::
    SW_p = \Bigl(\frac1L \sum_{l=1}^L W_p^p(\theta_l^\top X,
      \theta_l^\top Y)\Bigr)^{1/p}, \quad \mathrm{MIND} = 3 d\, SW_2^2

  over directions uniform on the sphere. In one dimension the optimal plan
  matches quantiles, so each term takes two sorts; sets of different sizes are
  matched on the common refinement of their steps, where others cut the larger
  set. Sorting is done where it is fastest: XLA's sort on CPU takes ten times
  as long as NumPy's.

  The standard error adds what drawing finitely many directions leaves open
  and the infinitesimal jackknife over images, whose slopes are the Kantorovich
  potentials, averaged over the first 100 directions.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    projections: How many directions.
    seed: Of numpy's ``default_rng``, behind the directions.
    std_error: Whether to compute the standard errors too.

  Returns:
    :class:`SlicedDistances`; lower is better, 0 for equal sets. Biased upwards
    by O(1/n + 1/m): compare at equal sizes.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.

  References:
    Bonneel et al., 2015, definition 2; for 3 d, torch-fidelity's MIND.
  """
  width = x.width
  directions = np.random.default_rng(seed).standard_normal(
    (projections, width), np.float32
  )
  directions /= np.linalg.norm(directions, axis=1, keepdims=True)
  plan = _Plan.between(x.count, y.count)
  costs = {1: [], 2: []}
  slopes = None
  for start in range(0, projections, _AT_ONCE):
    block = directions[start : start + _AT_ONCE]
    places = std_error and start < _INFLUENCES
    sides = [_Side.of(rows, block, x.origin, places) for rows in (x, y)]
    for order, cost in costs.items():
      cost.append(plan.cost(*(side.ordered for side in sides), order))
    if places:
      slopes = {order: plan.slopes(*sides, order) for order in costs}
  costs = {order: np.concatenate(cost) for order, cost in costs.items()}
  one, squared = (float(cost.mean()) for cost in costs.values())
  root, scale = float(np.sqrt(squared)), 3 * width
  if not std_error:
    values = one, root, scale * squared
    return SlicedDistances(*map(Estimate, values))
  one_error, squared_error = (
    float(
      np.sqrt(
        np.var(cost) / projections
        + sum(np.var(side, ddof=1) / len(side) for side in slopes[order])
      )
    )
    for order, cost in costs.items()
  )
  return SlicedDistances(
    Estimate(one, one_error),
    Estimate(root, squared_error / (2 * root) if root else 0.0),
    Estimate(scale * squared, scale * squared_error),
  )


class _Side(NamedTuple):
  """Projections ``[l, n]`` of one set in order, and each image's place in it.

  The place is None where it was not asked for.
  """

  ordered: np.ndarray
  place: np.ndarray | None

  @classmethod
  def of(
    cls,
    x: FeatureSet,
    directions: np.ndarray,
    origin: np.ndarray,
    places: bool,
  ) -> '_Side':
    projected = _project(x.rows, (directions, origin))
    if platform_of(x.mesh).sorts and not places:
      return cls(to_host(_in_order(projected, x.rows.mask))[:, : x.count], None)
    values = host_rows(projected, x.rows.mask).T.copy()
    if not places:
      values.sort(axis=1)
      return cls(values, None)
    order = values.argsort(axis=1)
    ordered = np.take_along_axis(values, order, 1)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(order.shape[1])[None], 1)
    return cls(ordered, place)


class _Plan(NamedTuple):
  """The monotone coupling of n and m equal masses.

  Attributes:
    weight: Of each step of the common refinement.
    left: Which of the n it moves mass from.
    right: Which of the m it moves it to.
  """

  weight: np.ndarray
  left: np.ndarray
  right: np.ndarray

  @classmethod
  def between(cls, n: int, m: int) -> '_Plan':
    # In units of 1 / nm all steps are whole.
    steps = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    weight = np.diff(steps, prepend=0) / (n * m)
    return cls(weight, (steps - 1) // m, (steps - 1) // n)

  def cost(self, x: np.ndarray, y: np.ndarray, order: int) -> np.ndarray:
    """``W_p^p`` of sorted projections ``[l, n]`` and ``[l, m]``, ``[l]``."""
    if x.shape == y.shape:
      moved = x - y
      return np.mean(np.abs(moved) ** order, axis=1, dtype=np.float64)
    moved = x[:, self.left] - y[:, self.right]
    return np.abs(moved).astype(np.float64) ** order @ self.weight

  def slopes(
    self, x: _Side, y: _Side, order: int
  ) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of the mean cost by the weight of each image of a set."""
    return _potential(x, y.ordered, order), _potential(y, x.ordered, order)


def _potential(side: _Side, other: np.ndarray, order: int) -> np.ndarray:
  """Kantorovich potential of each image, the mean over directions, ``[n]``.

  From one image to the next in order it grows by what moving the boundary of
  mass between them costs: to and from where the other set has its quantile.
  """
  values = side.ordered.astype(np.float64)
  n, m = values.shape[1], other.shape[1]
  boundary = other[:, (np.arange(1, n) * m - 1) // n]
  here, there = (
    np.abs(end - boundary) ** order for end in (values[:, :-1], values[:, 1:])
  )
  potential = np.cumsum(there - here, axis=1)
  potential = np.concatenate([np.zeros((len(values), 1)), potential], axis=1)
  return np.take_along_axis(potential, side.place, 1).mean(0)


@program(out=ROWS)
def _project(x, context):
  """Projections ``[n, l]``, about the origin."""
  directions, origin = context

  def of_tile(values):
    values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    centred = values - origin.astype(values.dtype)
    return lax.dot_general(
      centred.astype(jnp.float32),
      directions,
      (((1,), (1,)), ((), ())),
      precision=lax.Precision.HIGHEST,
    )

  return map_tiles(x.values, of_tile, tile=_TILE, end=end_of(x.mask))


@jax.jit
def _in_order(projected, mask):
  """Each direction's projections, ``[l, n]``; those that count come first."""
  return jnp.sort(jnp.where(mask, projected.T, jnp.inf), axis=1)


def _distances(c: Comparison) -> SlicedDistances:
  return sliced_distances(
    c.reference, c.generated, seed=c.seed, std_error=c.bootstrap > 0
  )


def _metric(name: str) -> Metric:
  def measure(c: Comparison) -> Measured:
    return Measured.of(getattr(c.get(_distances), name))

  return Metric(
    name=name,
    aspect=Aspect.FIDELITY,
    direction=Direction.LOWER,
    measure=measure,
    within=(0.0, np.inf),
    takes_long=True,
  )


METRICS = tuple(map(_metric, SlicedDistances._fields))
