"""From the scores of conditions to rows and to effects."""

import functools

import numpy as np

from genmed_jax.metrics import Score
from genmed_jax.statistics import agreement
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import interval_of
from genmed_jax.study.conditions import BASELINE, Condition
from genmed_jax.study.verdicts import (
  ConditionRow,
  Effect,
  effect,
  percent,
  severity,
  z_scores,
)

# Of a condition, or of none, under a seed: metric to score.
Scores = dict[tuple[Condition | None, int], dict[str, Score]]


class Found:
  """The findings of a study with one network."""

  def __init__(
    self, features: str, directions: dict[str, Direction], scores: Scores
  ):
    """Takes the scores of every condition and seed.

    Args:
      features: Name of the network.
      directions: Metric to the values that are better.
      scores: Of the baseline, condition None, and of every condition.
    """
    self._features = features
    self._directions = directions
    self._scores = scores
    self._seeds = list(dict.fromkeys(seed for _, seed in scores))
    self._conditions = list(
      dict.fromkeys(each for each, _ in scores if each is not None)
    )

  @functools.cached_property
  def effects(self) -> list[Effect]:
    """An effect per family and metric that has values throughout."""
    found = []
    for family in dict.fromkeys(each.family for each in self._conditions):
      levels = sorted(
        (each for each in self._conditions if each.family == family),
        key=lambda each: severity(*each),
      )
      for metric, direction in self._directions.items():
        if self._is_whole(metric, [None, *levels]):
          values, errors = self._arrays(metric, levels)
          (baseline,), (baseline_errors,) = self._arrays(metric, [None])
          found.append(
            effect(
              family,
              self._features,
              metric,
              direction,
              tuple(each.level for each in levels),
              values,
              errors,
              baseline,
              baseline_errors,
            )
          )
    return found

  @property
  def failures(self) -> list[str]:
    """A line for every metric that has a bug, the first of its kind."""
    found = {}
    for (condition, seed), scores in self._scores.items():
      for metric, score in scores.items():
        if score.failed:
          where = f'{condition or BASELINE}, seed {seed}'
          found.setdefault(
            metric, f'{metric} on {self._features}, {where}: {score.notes[-1]}'
          )
    return list(found.values())

  def rows(self) -> list[ConditionRow]:
    """A row per seed, metric and condition, the baseline first."""
    verdicts = {
      (each.family, each.metric): each.verdict for each in self.effects
    }
    rows = []
    for at, seed in enumerate(self._seeds):
      for metric in self._directions:
        for condition in (None, *self._conditions):
          family, level = condition or (BASELINE, 0)
          value = self._scores[condition, seed][metric].value
          change = None, None, None
          if self._is_whole(metric, [None, condition]):
            change = self._change(metric, condition, at)
          rows.append(
            ConditionRow(
              family,
              level,
              seed,
              self._features,
              metric,
              value,
              *change,
              verdicts.get((family, metric), ''),
            )
          )
    return rows

  def scored(self) -> agreement.Scores:
    """Means over seeds of every condition, as agreements take them."""
    conditions = (None, *self._conditions)
    found = {}
    for metric, direction in self._directions.items():
      of_sets = found[self._features, metric] = {}
      for condition in conditions:
        if self._is_whole(metric, [condition]):
          values, errors = self._arrays(metric, [condition])
          error = errors.mean()
          if values.size > 1:
            error = max(error, values.std(ddof=1))
          interval = interval_of(float(values.mean()), float(error))
          of_sets[str(condition or BASELINE)] = agreement.Scored(
            float(values.mean()), *interval[1:], direction
          )
    return found

  def _change(self, metric: str, condition: Condition | None, at: int):
    """Baseline, change in percent and z score under one seed."""
    values, errors = self._arrays(metric, [condition])
    (baseline,), (baseline_errors,) = self._arrays(metric, [None])
    change = values - baseline
    share = percent(change, baseline)[0, at]
    z = z_scores(change, errors, baseline_errors, baseline)[0, at]
    return (
      float(baseline[at]),
      float(share) if np.isfinite(share) else None,
      float(z),
    )

  def _is_whole(self, metric: str, conditions) -> bool:
    """Whether the metric has a value under all of them and every seed."""
    return all(
      self._scores[condition, seed][metric].value is not None
      for condition in conditions
      for seed in self._seeds
    )

  def _arrays(self, metric: str, conditions) -> tuple[np.ndarray, np.ndarray]:
    """Values and standard errors, ``[conditions, seeds]``."""
    scores = [
      [self._scores[condition, seed][metric] for seed in self._seeds]
      for condition in conditions
    ]
    values = [[score.value for score in line] for line in scores]
    errors = [
      [score.interval.std_error if score.interval else 0.0 for score in line]
      for line in scores
    ]
    return np.array(values), np.array(errors)
