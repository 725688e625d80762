"""Estimates, their standard errors and 95 % intervals."""

from typing import NamedTuple

import numpy as np

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


def normal_interval(
  value: float, std_error: float, *, at_least: float = -np.inf
) -> Interval:
  """The normal interval around ``value``, cut where a metric cannot go."""
  reach = _NORMAL_95 * std_error
  ends = np.maximum([value - reach, value + reach], at_least)
  return Interval(std_error, *ends.tolist())


def median_interval(values: np.ndarray) -> Interval:
  """The interval of the median between two order statistics.

  How many values lie below the median of their law is binomial, whatever the
  law. The standard error is that of a normal interval as long.

  Args:
    values: ``[n]``.
  """
  from scipy import stats

  ordered = np.sort(values)
  below = int(stats.binom.ppf(0.025, len(values), 0.5))
  low, high = ordered[max(below - 1, 0)], ordered[-max(below, 1)]
  error = (high - low) / (2 * _NORMAL_95)
  return Interval(float(error), float(low), float(high))


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
