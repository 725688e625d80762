"""The metrics by name, gathered from the modules that declare them."""

from collections.abc import Collection, Iterable, Mapping
import difflib
import importlib
import pkgutil

from absl import logging
import jax
import numpy as np

from genmed_jax.engine import memory
from genmed_jax.errors import Undefined, UsageError
from genmed_jax.metrics.base import (
  Column,
  Comparison,
  FEATURES,
  Measured,
  Metric,
  Score,
)
from genmed_jax.statistics.intervals import (
  error_of_halves,
  Interval,
  interval_of,
  interval_of_share,
)

ALL = 'all'


def _gathered() -> dict[str, Metric]:
  """Every metric that a module of this package lists as ``METRICS``."""
  package = importlib.import_module('genmed_jax.metrics')
  declared = []
  for module in pkgutil.iter_modules(package.__path__):
    if module.name != 'registry':
      found = importlib.import_module(f'{package.__name__}.{module.name}')
      declared += getattr(found, 'METRICS', ())
  declared.sort(key=lambda metric: (metric.aspect, not metric.headline))
  return {metric.name: metric for metric in declared}


METRICS = _gathered()
_ALIASES = {m.alias.name: m.name for m in METRICS.values() if m.alias}


def select(names: str | Iterable[str]) -> list[str]:
  """The metrics that ``metrics`` names, aliases among them.

  Args:
    names: ``'all'``, or names, in a sequence or with commas between them.

  Raises:
    UsageError: if there is none, or no such metric, with the nearest name.
  """
  if isinstance(names, str):
    names = names.split(',')
  names = [name.strip() for name in names if name.strip()]
  if not names:
    raise UsageError(f'`metrics` is empty; it takes {ALL}, or names of metrics')
  if ALL in names:
    return list(METRICS)
  known = [*METRICS, *_ALIASES]
  for name in names:
    if name not in known:
      near = difflib.get_close_matches(name, known, 1, 0.0)[0]
      raise UsageError(
        f'unknown metric {name!r}; did you mean {near!r}? '
        f'Known: {ALL}, {", ".join(known)}'
      )
  return list(dict.fromkeys(names))


def defined_on(
  names: str | Iterable[str],
  outputs: Collection[str],
  earned: Collection[str] = (),
) -> dict[str, Metric]:
  """The selected metrics that features of a network offer, by name there.

  A metric goes by its alias where the features earn it, and nowhere else.

  Args:
    names: As of :func:`select`.
    outputs: The network's outputs beside the features.
    earned: Aliases that the features earn.
  """
  found = {}
  for name in select(names):
    metric = METRICS[_ALIASES.get(name, name)]
    alias = metric.alias and metric.alias.name
    is_earned = alias in earned
    if metric.reads in (FEATURES, *outputs) and (name != alias or is_earned):
      found[alias if is_earned else metric.name] = metric
  return found


def check_offered(
  names: str | Iterable[str], offered: Mapping[str, Mapping[str, Metric]]
) -> None:
  """Checks that every metric that was named is defined on some features.

  Args:
    names: As of :func:`select`.
    offered: Name of the features to :func:`defined_on`.

  Raises:
    UsageError: naming a metric that is defined on none of them.
  """
  if (selected := select(names)) == list(METRICS):
    return
  everywhere = [each for found in offered.values() for each in found.items()]
  for name in selected:
    metric = METRICS[_ALIASES.get(name, name)]
    features = ', '.join(offered)
    if name in _ALIASES and (name, metric) not in everywhere:
      raise UsageError(
        f'{name} is defined on {metric.alias.where}, not on {features}; ask '
        f'for {metric.name}'
      )
    if metric not in [each for _, each in everywhere]:
      lacks = 'lacks' if len(offered) == 1 else 'lack'
      raise UsageError(f'{name} needs {metric.reads}, which {features} {lacks}')


def score(metric: str | Metric, comparison: Comparison) -> Score:
  """Scores one metric; a set too small for it gives a note, not a number.

  Args:
    metric: The metric, or its name.
    comparison: The sets.
  """
  if isinstance(metric, str):
    (name,) = select(metric)
    metric = METRICS[_ALIASES.get(name, name)]
  try:
    found = metric.measure(comparison)
  except Undefined as error:
    return Score(None, None, (str(error),))
  finally:
    memory.release(comparison.reference, comparison.generated)
  if not np.isfinite(found.value):
    return Score(None, None, ('overflows: the features are too large',))
  value = float(np.clip(found.value, *metric.within))
  if not comparison.bootstrap:
    return Score(value, None, found.notes)
  try:
    interval = _interval(metric, comparison, found)
  except Undefined as error:
    return Score(value, None, (*found.notes, f'no error: {error}'))
  if not np.isfinite(interval).all():
    note = 'its error overflows: the features are too large'
    return Score(value, None, (*found.notes, note))
  return Score(value, interval, found.notes)


def _interval(
  metric: Metric, comparison: Comparison, found: Measured
) -> Interval:
  """The interval of a metric, by its own error or by parts of the sets.

  Where the value is cut at an end of its range, those of parts are not, or
  they would all be alike.
  """
  value = np.clip(found.value, *metric.within)
  error, freedom = found.std_error, np.inf
  if error is None:
    differences = [
      one - other
      for one, other in (
        [metric.measure(part).value for part in pair]
        for pair in comparison.parts
      )
    ]
    error = error_of_halves(differences, comparison.share_of_part)
    freedom = len(differences)
  if metric.share_of:
    return interval_of_share(
      value,
      error,
      getattr(comparison, metric.share_of).count,
      whole=metric.within[1],
      freedom=freedom,
    )
  return interval_of(value, error, within=metric.within, freedom=freedom)


def attempt(metric: str | Metric, comparison: Comparison) -> Score:
  """:func:`score`, where a bug inside the metric costs that metric alone.

  Not in a run of several processes: an exception on one of them would leave
  the others waiting, so there it ends them all.
  """
  try:
    return score(metric, comparison)
  except Exception as error:
    return Score(None, None, (f'failed: {described(error)}',), failed=True)


def described(error: Exception) -> str:
  """A bug in a line, in a run of one process; raised in one of several."""
  if jax.process_count() > 1:
    raise error
  logging.debug('a metric failed', exc_info=error)
  return ' '.join(f'{type(error).__name__}: {error}'.split())


def columns_of(
  metric: Metric, comparison: Comparison
) -> dict[Column, np.ndarray]:
  """A metric's scores of single images; none where it is not defined.

  Args:
    metric: The metric.
    comparison: The sets.
  """
  try:
    return {column: column.values(comparison) for column in metric.columns}
  except Undefined:
    return {}


def floor(metric: str | Metric, halves: Comparison) -> Score:
  """The score of one half of the real set against the other.

  It is what a perfect generator would score with so many images on either
  side.

  Args:
    metric: The metric, or its name.
    halves: ``Comparison.halves``.
  """
  if isinstance(metric, str):
    metric = METRICS[metric]
  if metric.reads not in (FEATURES, *halves.generated.outputs):
    return Score(None, None, (f'the reference has no {metric.reads}',))
  return attempt(metric, halves)
