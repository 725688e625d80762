"""Verdicts on metrics: their response to a family of perturbations."""

from typing import NamedTuple

import numpy as np

from genmed_jax.perturb import FAMILIES
from genmed_jax.statistics.direction import Direction

# Standard errors by which a change is told from sampling noise.
CLEAR = 2.0
# Beyond this the number of standard errors says nothing more.
LARGEST = 1000.0
# A last step smaller than this share of the whole change is none.
_FLAT = 0.1

RESPONDS = 'responds'
WRONG = 'wrong direction'
SATURATES = 'saturates'
NOTHING = 'no response'


class ConditionRow(NamedTuple):
  """One line of ``sensitivity.csv``; None where undefined."""

  family: str
  level: float
  seed: int
  features: str
  metric: str
  value: float | None
  baseline: float | None
  percent_change: float | None
  z_score: float | None
  verdict: str


class Effect(NamedTuple):
  """The response of one metric to one family.

  Attributes:
    family: The perturbation.
    features: Network.
    metric: Name.
    direction: Which values are better.
    levels: As the family has them, by severity.
    values: Mean over seeds, a level each.
    std_errors: Of one set's value, mean over seeds.
    baseline: Mean over seeds, of unperturbed sets.
    percent_changes: Mean over seeds.
    z_scores: Mean over seeds, with the sign of the change.
    worse: The same, above 0 where the metric says that images got worse.
    slope: Of value over severity, through the baseline.
    slope_std_error: Over seeds; None with one.
    verdict: ``responds``, ``wrong direction``, ``saturates`` or ``no
      response``.
  """

  family: str
  features: str
  metric: str
  direction: Direction
  levels: tuple[float, ...]
  values: tuple[float, ...]
  std_errors: tuple[float, ...]
  baseline: float
  percent_changes: tuple[float, ...]
  z_scores: tuple[float, ...]
  worse: tuple[float, ...]
  slope: float
  slope_std_error: float | None
  verdict: str


def severity(family: str, level: float) -> float:
  """Distance of a level from what real images are."""
  return FAMILIES[family].severity(level)


def effect(
  family: str,
  features: str,
  metric: str,
  direction: Direction,
  levels: tuple[float, ...],
  values: np.ndarray,
  errors: np.ndarray,
  baseline: np.ndarray,
  baseline_errors: np.ndarray,
) -> Effect:
  """Judges a metric's values under a family.

  A change is held against the noise of the metric: the standard error of the
  baseline or, if larger, the spread over seeds of the baseline or of the
  change. It answers whether one set of this size would show it.

  Args:
    family: The perturbation.
    features: Network.
    metric: Name.
    direction: Which values are better.
    levels: By severity.
    values: ``[levels, seeds]``.
    errors: ``[levels, seeds]``.
    baseline: ``[seeds]``.
    baseline_errors: ``[seeds]``.
  """
  change = values - baseline
  z = z_scores(change, errors, baseline_errors, baseline)
  badness = direction.badness(values) - direction.badness(baseline)
  worse = np.copysign(z, badness).mean(axis=1)
  severities = np.array([severity(family, level) for level in levels])
  slopes = severities @ change / (severities @ severities)
  seeds = len(baseline)
  return Effect(
    family,
    features,
    metric,
    direction,
    levels,
    tuple(values.mean(axis=1).tolist()),
    tuple(errors.mean(axis=1).tolist()),
    float(baseline.mean()),
    tuple(percent(change, baseline).mean(axis=1).tolist()),
    tuple(z.mean(axis=1).tolist()),
    tuple(worse.tolist()),
    float(slopes.mean()),
    float(slopes.std(ddof=1) / seeds**0.5) if seeds > 1 else None,
    _verdict(severities, worse, change.mean(axis=1)),
  )


def z_scores(change, errors, baseline_errors, baseline) -> np.ndarray:
  """Changes in units of their noise, ``[levels, seeds]``.

  Where the baseline has no noise at all, the error of the values stands for
  it; without that either, what changes at all is :data:`LARGEST`.
  """
  scale = np.broadcast_to(baseline_errors, change.shape)
  if len(baseline) > 1:
    spread = change.std(axis=1, ddof=1, keepdims=True)
    scale = np.maximum(scale, np.maximum(spread, baseline.std(ddof=1)))
  scale = np.where(scale > 0, scale, errors)
  with np.errstate(divide='ignore', invalid='ignore'):
    z = np.where(change == 0, 0.0, change / scale)
  return np.clip(z, -LARGEST, LARGEST)


def percent(change, baseline) -> np.ndarray:
  """Change in percent of the baseline; NaN where that is zero."""
  with np.errstate(divide='ignore', invalid='ignore'):
    share = 100 * change / np.abs(baseline)
  return np.where(np.isfinite(share), share, np.nan)


def _verdict(severities, worse, change) -> str:
  strongest = worse[np.argmax(np.abs(worse))]
  if abs(strongest) < CLEAR:
    return NOTHING
  if strongest < 0:
    return WRONG
  steps = np.unique(severities)
  at = [change[severities == step].mean() for step in steps]
  if len(at) > 1 and abs(at[-1] - at[-2]) < _FLAT * abs(at[-1]):
    return SATURATES
  return RESPONDS
