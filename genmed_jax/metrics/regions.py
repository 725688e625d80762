"""Metrics of regions of interest: of crops, and of statistics of them.

A metric of whole images hardly sees damage to a hundredth of them.
"""

import dataclasses

from genmed_jax.errors import Undefined
from genmed_jax.metrics.base import Aspect, Comparison, Measured, Metric
from genmed_jax.metrics.frechet import METRICS as FRECHET
from genmed_jax.metrics.kernel_discrepancies import METRICS as DISCREPANCIES
from genmed_jax.metrics.marginals import marginal_wasserstein
from genmed_jax.metrics.prdc import METRICS as MANIFOLDS
from genmed_jax.statistics.direction import Direction

CROPS = 'features of masked regions'  # What metrics of crops read.
STATISTICS = 'statistics of masked regions'

# Columns of the statistics that each metric is of.
OF_STATISTICS = {
  'roi_sharpness': slice(0, 1),
  'roi_texture': slice(1, None),
}

_WHOLE = {
  metric.name: metric for metric in (*FRECHET, *DISCREPANCIES, *MANIFOLDS)
}
_OF_CROPS = ('fd', 'kid', 'precision', 'recall', 'density', 'coverage')


def _of_statistics(name: str) -> Metric:
  columns = OF_STATISTICS[name]

  def measure(c: Comparison) -> Measured:
    if min(c.counts) < 2:
      raise Undefined(f'needs at least 2 regions, got {min(c.counts)}')
    x, y = (each.to_host()[:, columns] for each in (c.reference, c.generated))
    return Measured.of(marginal_wasserstein(x, y))

  return Metric(
    name=name,
    aspect=Aspect.FIDELITY,
    direction=Direction.LOWER,
    measure=measure,
    within=(0.0, float('inf')),
    reads=STATISTICS,
  )


METRICS = (
  *(
    dataclasses.replace(
      _WHOLE[name],
      name=f'roi_{name}',
      reads=CROPS,
      columns=(),
      alias=None,
      headline=False,
    )
    for name in _OF_CROPS
  ),
  *map(_of_statistics, OF_STATISTICS),
)
