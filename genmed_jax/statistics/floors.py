"""Floors: what real images score among themselves, and excess over it."""

import numpy as np
from scipy.special import ndtr, stdtrit

from genmed_jax.statistics.direction import Direction


def excess_of(
  values: np.ndarray,
  floors: np.ndarray,
  direction: Direction,
  *,
  counts: tuple[int, int],
  size: int,
  worth: float,
  least: float = 0.0,
) -> float | None:
  r"""Difference from the floor in standard errors; positive is worse.

  With :math:`D_s, D'_s` the values less the floors of both parts of split s,
  turned so that more is worse,

  .. math::
    \frac{\bar D}{u}, \quad
    u^2 = \Bigl(\frac{t_S}{2}\Bigr)^2 \Bigl(
      c f \, E\Bigl(\frac{D_s - D'_s}{2}\Bigr)^2
      + \frac1S \mathrm{var} \frac{D_s + D'_s}{2} \Bigr), \quad
    f = \frac kn + \frac km.

  Parts that do not overlap differ as fresh images do, but for c, which depends
  on the metric, and f, which makes parts of k images those of all; the second
  term is left by having drawn few splits. :math:`t_S` is Student's quantile
  where a normal one is 2. Splits share images: the spread of D over them, or
  that over their root, would be up to twice too large, or far too small.

  Args:
    values: ``[S, 2]``, of the generated set's parts.
    floors: ``[S, 2]``, of parts of the reference, as large.
    direction: Which values are better; of ``ZERO``, sizes are compared.
    counts: Real and generated images, n and m.
    size: Images in a part, k.
    worth: c, such that fresh real images are beyond 2 in 2 to 7 % of cases, as
      ``benchmarks.excess`` measures it.
    least: Of the unit.

  Returns:
    The excess; positive is worse than real images. None where chance does
    nothing, and the values differ all the same.
  """
  worse = direction.badness(values) - direction.badness(floors)
  even, odd = worse.sum(1) / 2, worse[:, 0] / 2 - worse[:, 1] / 2
  splits, share = len(worse), sum(size / count for count in counts)
  variance = worth * share * np.mean(odd**2) + np.var(even, ddof=1) / splits
  student = stdtrit(splits, ndtr(2)) / 2
  unit = max(float(student * np.sqrt(variance)), least)
  excess = float(even.mean())
  if unit == 0:
    return 0.0 if excess == 0 else None
  return excess / unit
