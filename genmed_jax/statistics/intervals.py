"""Estimates, their standard errors and 95 % intervals."""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

_NORMAL_95 = 1.959963984540054


class Estimate(NamedTuple):
  """A value of a statistic.

  Attributes:
    value: The estimate.
    std_error: Its standard error; None where it was not asked for.
    details: Further numbers of the method, by name.
  """

  value: float
  std_error: float | None = None
  details: dict[str, float] = {}


class Interval(NamedTuple):
  """A standard error and the ends of a 95 % interval."""

  std_error: float
  low: float
  high: float


def interval_of(
  value: float,
  std_error: float,
  *,
  within: tuple[float, float] = (-np.inf, np.inf),
  freedom: float = np.inf,
) -> Interval:
  """The interval of Student's t around a value, cut where it cannot go.

  Args:
    value: The estimate.
    std_error: Its standard error.
    within: The range of what is estimated.
    freedom: Degrees of freedom of the error; normal if infinite.
  """
  reach = _quantile(freedom) * std_error
  ends = np.clip([value - reach, value + reach], *within)
  return Interval(float(std_error), *ends.tolist())


def interval_of_share(
  value: float,
  std_error: float,
  count: int,
  *,
  whole: float = 1.0,
  freedom: float = np.inf,
) -> Interval:
  """Wilson's interval of a share, at the number of images its error is worth.

  That is p (1 - p) / e², and no more than there are: neighbourhoods that
  images share make it fewer. At 0 and at 1, where a normal interval vanishes,
  it is the number of images.

  Args:
    value: The share, of ``whole``.
    std_error: Its standard error.
    count: Number of images, or of the subjects that they are of.
    whole: 1, or 100 for percent.
    freedom: Degrees of freedom of the error.

  References:
    Wilson, 1927.
  """
  p, error, z = value / whole, std_error / whole, _quantile(freedom)
  n = count
  if error:  # At an end, what makes the interval as long as the normal one.
    n = min(n, p * (1 - p) / error**2 if 0 < p < 1 else z / error)
  spread = z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
  centre, shrunk = p + z**2 / (2 * n), 1 + z**2 / n
  low, high = (centre - spread) / shrunk, (centre + spread) / shrunk
  error = max(error, (high - low) / (2 * z))
  ends = min(low, p), max(high, p)
  return Interval(*(float(whole * each) for each in (error, *ends)))


def error_of_halves(differences: np.ndarray, share: float = 0.5) -> float:
  r"""Standard error of a statistic from its values on disjoint parts.

  .. math:: e^2 = \frac{f}{2S} \sum_s (t_s - t'_s)^2

  A part has the share f of the images of each set, and the variance is of
  order one over their number: the neighbourhoods of a part are its own, so
  that the sampling of both sets is in it.

  Args:
    differences: ``[S]``, of the statistic on two parts, over seeded splits.
    share: f, at most a half.

  References:
    Politis, Romano & Wolf, 1999, chapter 2.
  """
  return float(np.sqrt(share / 2 * np.mean(np.square(differences))))


def _quantile(freedom: float) -> float:
  return _NORMAL_95 if np.isinf(freedom) else float(stdtrit(freedom, 0.975))


def bootstrap_mean(
  values: np.ndarray,
  *,
  replicates: int,
  seed: int,
  subjects: np.ndarray | None = None,
) -> Interval:
  """Percentile bootstrap of the mean of per-image scores.

  The scores are those of the full sets: an image drawn twice counts twice
  but does not become its own neighbour, as it would if neighbourhoods were
  found anew in a resampled set. What is resampled is the images scored, with
  the manifold they are scored against held fixed.

  Args:
    values: ``[n]``.
    replicates: How many resampled means.
    seed: Of the draws.
    subjects: ``[n]``, the subject of each image, drawn with all its images,
      for these are alike. Every image is drawn by itself if None.
  """
  random = np.random.default_rng(seed)
  if subjects is None:
    subjects = np.arange(len(values))
  _, subject = np.unique(subjects, return_inverse=True)
  sums, counts = np.bincount(subject, values), np.bincount(subject)
  n = len(counts)
  means = []
  for _ in range(replicates):
    drawn = random.integers(n, size=n)
    means.append(sums[drawn].sum() / counts[drawn].sum())
  low, high = np.percentile(means, (2.5, 97.5))
  return Interval(float(np.std(means, ddof=1)), float(low), float(high))
