"""The metrics by name, gathered from the modules that declare them."""

from collections.abc import Callable, Collection, Iterable, Mapping
import difflib
import importlib
import pkgutil
from typing import TypeVar

from absl import logging
import jax
import numpy as np

from genmed_jax.engine import memory
from genmed_jax.errors import Undefined, UsageError
from genmed_jax.metrics import splits
from genmed_jax.metrics.base import (
  Column,
  Comparison,
  FEATURES,
  Floor,
  Measured,
  Metric,
  Score,
)
from genmed_jax.statistics.floors import excess_of
from genmed_jax.statistics.intervals import (
  error_of_halves,
  Interval,
  interval_of,
  interval_of_share,
)

T = TypeVar('T', Score, Floor)

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


def _named(metric: str | Metric) -> Metric:
  if isinstance(metric, Metric):
    return metric
  (name,) = select(metric)
  return METRICS[_ALIASES.get(name, name)]


def score(metric: str | Metric, comparison: Comparison) -> Score:
  """Scores one metric; a set too small for it gives a note, not a number.

  Args:
    metric: The metric, or its name.
    comparison: The sets.
  """
  metric = _named(metric)
  try:
    found = metric.measure(comparison)
  except Undefined as error:
    return Score(notes=(str(error),))
  finally:
    memory.release(comparison.reference, comparison.generated)
  if not np.isfinite(found.value):
    return Score(notes=('overflows: the features are too large',))
  value = _within(metric, found.value)
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

  By parts too where images are of subjects: its own takes every image for one.
  Where the value is cut at an end of its range, those of parts are not, or
  they would all be alike.
  """
  value = _within(metric, found.value)
  error, freedom = found.std_error, np.inf
  sets = comparison.reference, comparison.generated
  if error is None or any(each.has_subjects for each in sets):
    share = comparison.get(splits.share_of_part)
    size = int(share * max(comparison.counts))
    values = _values(metric, comparison.get(splits.parts), size)
    error = error_of_halves(np.diff(values), share)
    freedom = len(values)
  if metric.share_of:
    return interval_of_share(
      value,
      error,
      getattr(comparison, metric.share_of).independent,
      whole=metric.within[1],
      freedom=freedom,
    )
  return interval_of(value, error, within=metric.within, freedom=freedom)


def attempt(
  function: Callable[[Metric, Comparison], T],
  metric: Metric,
  comparison: Comparison,
) -> T:
  """:func:`score` or :func:`floor`, where a bug costs that metric alone.

  Not in a run of several processes: an exception on one of them would leave
  the others waiting, so there it ends them all.
  """
  try:
    return function(metric, comparison)
  except Exception as error:
    kind = {score: Score, floor: Floor}[function]
    return kind(notes=(f'failed: {described(error)}',), failed=True)


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


def floor(metric: str | Metric, comparison: Comparison) -> Floor:
  """The metric between parts of the reference, and the excess over that.

  Args:
    metric: The metric, or its name.
    comparison: The sets.
  """
  try:
    return _floor(_named(metric), comparison)
  finally:
    memory.release(comparison.reference, comparison.generated)


def _floor(metric: Metric, comparison: Comparison) -> Floor:
  if metric.reads not in (FEATURES, *comparison.reference.outputs):
    return Floor(notes=(f'the reference has no {metric.reads}',))
  size = comparison.get(splits.floor_size)
  try:
    floors = _values(metric, splits.floors(comparison), size)
  except Undefined as error:
    return Floor(notes=(f'no floor: {error}',))
  if not np.isfinite(floors).all():
    return Floor(notes=('no floor: it overflows',))
  found = Floor(
    _within(metric, floors.mean()), float(floors.mean(1).std(ddof=1)), size
  )
  try:
    values = _values(metric, comparison.get(splits.level), size)
  except Undefined as error:
    return found._replace(notes=(f'no excess: {error}',))
  if not np.isfinite(values).all():
    return found._replace(notes=('no excess: the set overflows',))
  excess = excess_of(
    values,
    floors,
    metric.direction,
    counts=comparison.counts,
    size=size,
    worth=metric.split_worth,
    # Of a share, no less than an image is worth.
    least=metric.within[1] / min(comparison.counts) if metric.share_of else 0,
  )
  notes = () if excess is not None else ('no excess: all splits are alike',)
  value = _within(metric, values.mean())
  return found._replace(value_at_n=value, excess=excess, notes=notes)


def _within(metric: Metric, value: float) -> float:
  return float(np.clip(value, *metric.within))


def _values(metric: Metric, pairs: splits.Pairs, size: int) -> np.ndarray:
  """A metric of both parts of every split it is worth, ``[S, 2]``."""
  pairs = pairs[: splits.number_of_splits(metric, size)]
  return np.array([[metric.measure(c).value for c in pair] for pair in pairs])
