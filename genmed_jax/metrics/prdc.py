"""Fidelity and coverage of nearest-neighbour manifolds."""

from typing import NamedTuple

import numpy as np

from genmed_jax.engine.views import NEIGHBOURS
from genmed_jax.errors import Undefined
from genmed_jax.metrics import neighbours
from genmed_jax.metrics.base import (
  Aspect,
  Column,
  Comparison,
  mean_of_images,
  Measured,
  Metric,
)
from genmed_jax.metrics.neighbours import Neighbourhoods, neighbourhoods
from genmed_jax.statistics.direction import Direction


class PRDC(NamedTuple):
  """Per-image scores, whose means are the four metrics.

  Attributes:
    precision: ``[m]``, 1 where a generated image lies in some real ball.
    recall: ``[n]``, 1 where a real image lies in some generated ball.
    density: ``[m]``, real balls holding a generated image, over k.
    coverage: ``[n]``, 1 where a real ball holds some generated image.
  """

  precision: np.ndarray
  recall: np.ndarray
  density: np.ndarray
  coverage: np.ndarray


def prdc(x, y, *, k: int = NEIGHBOURS) -> PRDC:
  r"""Precision, recall, density and coverage, image by image.

  With :math:`B_k(p)` the open ball around ``p`` that reaches to the k-th
  neighbour of ``p`` in its own set,

  .. math::
    P_j = [\exists i: y_j \in B_k(x_i)] \quad
    R_i = [\exists j: x_i \in B_k(y_j)] \quad
    D_j = \tfrac1k \sum_i [y_j \in B_k(x_i)] \quad
    C_i = [\exists j: y_j \in B_k(x_i)].

  Membership is strict, ``<``, as in the prdc package; a point on the surface
  (an exact copy of the k-th neighbour) is outside.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    k: Neighbours that set the radius.

  Returns:
    :class:`PRDC`; means are in [0, 1], density's in [0, inf); higher is
    better. All four depend on n and m: compare at equal sizes.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has no
      more than ``k`` images.

  References:
    Kynkäänniemi et al., 2019, eqs. 1-2; Naeem et al., 2020, eqs. 3 and 5.
  """
  return prdc_of(neighbourhoods(x, y, k=k))


def realism(x, y, *, k: int = 3) -> np.ndarray:
  r"""Realism of each generated image.

  .. math:: R_j = \max_i \frac{r_k(x_i)}{\|y_j - x_i\|}

  over real images whose radius :math:`r_k`, the distance to the k-th
  neighbour, is below the median: large balls, around outliers, say nothing.

  Args:
    x: Real features, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    k: Neighbours that set the radius.

  Returns:
    ``[m]``; higher is more realistic, above 1 inside a ball. Infinite for an
    exact copy: count those apart before taking a mean.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has no
      more than ``k`` images.

  References:
    Kynkäänniemi et al., 2019, eq. 3.
  """
  return neighbourhoods(x, y, k=1, realism_k=k).realism


def prdc_of(found: Neighbourhoods) -> PRDC:
  """:func:`prdc` of neighbourhoods that are already there."""
  return PRDC(
    precision=(found.held_by_real > 0).astype(np.float64),
    recall=(found.held_by_generated > 0).astype(np.float64),
    density=found.held_by_real / found.k,
    coverage=(found.holding > 0).astype(np.float64),
  )


def _of_comparison(c: Comparison) -> PRDC:
  return prdc_of(c.get(neighbours.of_comparison))


def _prdc(field: str):
  def measure(c: Comparison) -> Measured:
    return mean_of_images(getattr(c.get(_of_comparison), field))

  return measure


def _realism(c: Comparison) -> Measured:
  """The median over images that are no near copies."""
  found = c.get(neighbours.of_comparison)
  values = found.realism[~found.is_near_copy]
  if len(values) == 0:
    raise Undefined('every image is a near copy of a real one')
  notes = [f'mean {values.mean():.4g}']
  if copies := np.sum(found.is_near_copy):
    notes.append(f'{copies} near copies of real images are left out')
  return Measured(float(np.median(values)), None, tuple(notes))


def _metric(name, aspect, measure, *columns, **more) -> Metric:
  return Metric(
    name=name,
    aspect=aspect,
    direction=Direction.HIGHER,
    measure=measure,
    columns=columns,
    **{'within': (0.0, np.inf)} | more,
  )


def _share(name, aspect, share_of, *columns, **more) -> Metric:
  return _metric(
    name,
    aspect,
    _prdc(name),
    *columns,
    within=(0.0, 1.0),
    share_of=share_of,
    headline=True,
    **more,
  )


METRICS = (
  _share(
    'precision',
    Aspect.FIDELITY,
    'generated',
    Column(
      'in_real_manifold',
      lambda c: c.get(_of_comparison).precision.astype(int),
    ),
  ),
  _share('recall', Aspect.COVERAGE, 'reference', split_worth=0.4),
  _metric(
    'density',
    Aspect.FIDELITY,
    _prdc('density'),
    Column(
      'density_count', lambda c: c.get(neighbours.of_comparison).held_by_real
    ),
    split_worth=0.8,
  ),
  _share('coverage', Aspect.COVERAGE, 'reference', split_worth=0.15),
  _metric(
    'realism',
    Aspect.FIDELITY,
    _realism,
    Column('realism', lambda c: c.get(neighbours.of_comparison).realism),
  ),
)
