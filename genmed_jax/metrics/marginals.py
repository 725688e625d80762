"""Distances between the distributions of single statistics."""

import numpy as np

from genmed_jax.statistics.intervals import Estimate


def marginal_wasserstein(x, y, *, replicates: int = 0, seed: int = 0):
  r"""Mean over columns of the 1-Wasserstein distance between marginals.

  .. math:: \frac1k \sum_j \frac1{\sigma_j} \int |F_j(t) - G_j(t)| \, dt

  where F and G are the distribution functions of column j in the real and the
  generated set, and sigma the real standard deviation: how many of them a
  value moves by, on average. A column that is constant among real images
  counts in its own units.

  Args:
    x: Statistics of real images, ``[n, k]``.
    y: Of generated ones, ``[m, k]``.
    replicates: Of a bootstrap over the images of both sets; 0 for none.
    seed: Of the draws.

  Returns:
    :class:`Estimate`, in real standard deviations; lower is better, biased
    upwards by O(1/sqrt(n)). It has no error without replicates.
  """
  from scipy import stats

  x, y = np.float64(x), np.float64(y)
  spread = x.std(axis=0)
  spread = np.where(spread > 0, spread, 1.0)

  def distance(x, y):
    columns = zip(x.T, y.T, strict=True)
    moved = [stats.wasserstein_distance(*pair) for pair in columns]
    return float(np.mean(moved / spread))

  random = np.random.default_rng(seed)
  again = [
    distance(
      *(each[random.integers(len(each), size=len(each))] for each in (x, y))
    )
    for _ in range(replicates)
  ]
  error = float(np.std(again, ddof=1)) if replicates else None
  return Estimate(distance(x, y), error)
