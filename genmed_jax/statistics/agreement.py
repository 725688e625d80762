"""Agreement of upstream metrics with the downstream task on orders of sets."""

import itertools
from typing import NamedTuple

import numpy as np

from genmed_jax.statistics.direction import Direction

DOWNSTREAM = 'predicted_dice'

FEWEST = 4  # Sets; of fewer no order is unlikely by chance.
_REPLICATES = 2000


class Scored(NamedTuple):
  """One metric of one set: its value, 95 % interval and better direction."""

  value: float
  low: float
  high: float
  direction: Direction

  def is_better_than(self, other: 'Scored') -> bool:
    """True if this set is better beyond both intervals."""
    worst, best = (
      end(each.direction.badness(value) for value in each._ends())
      for each, end in ((self, max), (other, min))
    )
    return worst < best

  @property
  def goodness(self) -> float:
    """Larger where the metric says that the set is better."""
    return -self.direction.badness(self.value)

  def _ends(self) -> list[float]:
    """Ends of the interval, and its best value where that lies between."""
    inside = self.direction is Direction.ZERO and self.low < 0 < self.high
    return [self.low, self.high, *([0.0] if inside else [])]


class Agreement(NamedTuple):
  """Agreement of a metric with the predicted Dice on the order of sets.

  Attributes:
    features: Network of the metric.
    metric: Its name.
    sets: How many were ordered.
    kendall: Tau-b; 1 where both order alike, -1 where they are opposed.
    kendall_low: End of its 95 % interval; None where resamples leave none.
    kendall_high: The other end.
    kendall_p: Of permutations: how often chance agrees or opposes as much.
    spearman: Rank correlation.
    spearman_low: End of its 95 % interval.
    spearman_high: The other end.
    spearman_p: As ``kendall_p``.
  """

  features: str
  metric: str
  sets: int
  kendall: float
  kendall_low: float | None
  kendall_high: float | None
  kendall_p: float
  spearman: float
  spearman_low: float | None
  spearman_high: float | None
  spearman_p: float


class Contradiction(NamedTuple):
  """Two sets that are ordered one way upstream, the other way downstream.

  Attributes:
    features: Network of the metric.
    metric: Its name.
    upstream: The set that the metric calls better.
    downstream: The set that the predicted Dice calls better.
  """

  features: str
  metric: str
  upstream: str
  downstream: str


# (features, metric) to set to score, in the order of the report.
Scores = dict[tuple[str, str], dict[str, Scored]]


def agreements(scores: Scores, *, seed: int = 2020) -> list[Agreement]:
  """Rank correlations of every metric with the predicted Dice over sets.

  Signs are turned so that 1 means that a metric calls those sets better whose
  masks are better. Intervals are bootstraps over sets; p values are of
  permutations, all of them where there are no more than 2000.

  Args:
    scores: Of all metrics, the predicted Dice among them.
    seed: Of the draws.

  Returns:
    One for each metric that is defined on :data:`FEWEST` sets or more and
    does not score them all the same; none without a predicted Dice.
  """
  found = []
  downstream = _downstream(scores)
  for (features, metric), of_sets in scores.items():
    names = [name for name in downstream if name in of_sets]
    if metric == DOWNSTREAM or len(names) < FEWEST:
      continue
    x = np.array([of_sets[name].goodness for name in names])
    y = np.array([downstream[name].goodness for name in names])
    if np.ptp(x) == 0 or np.ptp(y) == 0:
      continue
    tau, rho = (
      _with_interval(statistic, x, y, seed) for statistic in (_kendall, _rank)
    )
    found.append(Agreement(features, metric, len(names), *tau, *rho))
  return found


def contradictions(scores: Scores) -> list[Contradiction]:
  """Pairs of sets, one better upstream and one downstream, beyond both errors.

  Args:
    scores: Of all metrics, the predicted Dice among them.
  """
  downstream = _downstream(scores)
  return [
    Contradiction(features, metric, one, other)
    for (features, metric), of_sets in scores.items()
    if metric != DOWNSTREAM
    for one, other in itertools.permutations(downstream, 2)
    if {one, other} <= of_sets.keys()
    and of_sets[one].is_better_than(of_sets[other])
    and downstream[other].is_better_than(downstream[one])
  ]


class Findings(NamedTuple):
  """Agreements of all metrics with the predicted Dice."""

  agreements: list[Agreement]
  contradictions: list[Contradiction]


def find(scores: Scores) -> Findings | None:
  """Agreements and contradictions; None without a predicted Dice."""
  if not _downstream(scores):
    return None
  return Findings(agreements(scores), contradictions(scores))


def _downstream(scores: Scores) -> dict[str, Scored]:
  of_sets = [s for (_, name), s in scores.items() if name == DOWNSTREAM]
  return of_sets[0] if of_sets else {}


def _kendall(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Kendall's tau-b of each pair of rows, ``[r]``."""
  signs = (np.sign(each[:, :, None] - each[:, None]) for each in (x, y))
  return _cosine(*(each.reshape(len(each), -1) for each in signs))


def _rank(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Spearman's rank correlation of each pair of rows, ``[r]``."""
  from scipy import stats

  ranks = (stats.rankdata(each, axis=1) for each in (x, y))
  return _cosine(*(each - each.mean(axis=1, keepdims=True) for each in ranks))


def _cosine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Cosine of each pair of rows, ``[r]``; NaN where one vanishes."""
  scale = np.sqrt(np.sum(x**2, axis=1) * np.sum(y**2, axis=1))
  with np.errstate(invalid='ignore'):
    return np.sum(x * y, axis=1) / scale


def _with_interval(statistic, x, y, seed: int):
  """Value, ends of a bootstrap interval over sets, and permutation p."""
  random = np.random.default_rng(seed)
  (value,) = statistic(x[None], y[None])
  draws = random.integers(len(x), size=(_REPLICATES, len(x)))
  resampled = statistic(x[draws], y[draws])
  resampled = resampled[np.isfinite(resampled)]
  low, high = None, None
  if len(resampled):
    low, high = np.percentile(resampled, (2.5, 97.5)).tolist()
  orders, are_all = _permutations(len(x), random)
  chance = statistic(np.broadcast_to(x, orders.shape), y[orders])
  as_much = np.sum(np.abs(chance) >= abs(value) - 1e-12)
  # A sample of the permutations does not hold the one that was observed.
  p = as_much / len(orders) if are_all else (as_much + 1) / (len(orders) + 1)
  return float(value), low, high, float(p)


def _permutations(count: int, random) -> tuple[np.ndarray, bool]:
  """Orders ``[r, count]``, and whether they are all there are."""
  if np.prod(np.arange(1.0, count + 1)) <= _REPLICATES:
    return np.array(list(itertools.permutations(range(count)))), True
  each = np.broadcast_to(np.arange(count), (_REPLICATES, count))
  return random.permuted(each, axis=1), False
