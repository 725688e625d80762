"""The metrics by name, each with its direction and its uncertainty."""

from collections.abc import Callable
import difflib
from typing import NamedTuple

import numpy as np

from genmed_jax.errors import UsageError
from genmed_jax.metrics.comparison import Comparison
from genmed_jax.metrics.folds import TooFewImages
from genmed_jax.metrics.frechet import frechet_distance
from genmed_jax.metrics.inception_score import inception_score
from genmed_jax.metrics.manifold import prdc, realism
from genmed_jax.metrics.memorisation import authenticity
from genmed_jax.metrics.mmd import kid, polynomial_mmd, SUBSET_SIZE
from genmed_jax.metrics.neighbours import neighbourhoods
from genmed_jax.metrics.resampling import (
  bootstrap_mean,
  Interval,
  normal_interval,
)
from genmed_jax.metrics.vendi import ORDERS, rke, vendi_score
from genmed_jax.metrics.wasserstein import approximate_sliced_wasserstein

__all__ = [
  'approximate_sliced_wasserstein',
  'authenticity',
  'Comparison',
  'floor',
  'frechet_distance',
  'inception_score',
  'kid',
  'METRICS',
  'neighbourhoods',
  'polynomial_mmd',
  'prdc',
  'realism',
  'rke',
  'per_image',
  'score',
  'Score',
  'select',
  'vendi_score',
]


class Score(NamedTuple):
  """One metric of one comparison; ``value`` is None where undefined."""

  value: float | None
  interval: Interval | None
  notes: tuple[str, ...]


class PerImage(NamedTuple):
  """What neighbours say of each generated image, arrays ``[m]``."""

  realism: np.ndarray
  in_real_manifold: np.ndarray
  density_count: np.ndarray
  authentic: np.ndarray
  nearest_train: np.ndarray
  nearest_train_distance: np.ndarray


class Metric(NamedTuple):
  """A metric of the registry.

  Attributes:
    direction: Which way is better: ``lower`` or ``higher``.
    measure: Comparison to ``(value, interval or None, *notes)``.
    needs_logits: Whether it reads class logits.
    per_image: Whether it is made of the scores in :class:`PerImage`.
  """

  direction: str
  measure: Callable
  needs_logits: bool = False
  per_image: bool = False


def select(text: str) -> list[str]:
  """The metrics that ``--metrics`` names.

  Args:
    text: ``all``, or names with commas between them; ``fid`` is ``fd`` on
      the features the FID is defined on.

  Raises:
    UsageError: if there is no such metric, with the nearest name.
  """
  if text == 'all':
    return list(METRICS)
  names = [name.strip() for name in text.split(',')]
  for name in names:
    if name not in METRICS and name != 'fid':
      near = difflib.get_close_matches(name, [*METRICS, 'fid'], 1, 0.0)[0]
      raise UsageError(
        f'unknown metric {name!r}; did you mean {near!r}? '
        f'Known: all, fid, {", ".join(METRICS)}'
      )
  return list(dict.fromkeys(names))


def score(name: str, comparison: Comparison) -> Score:
  """Scores one metric; a set too small for it gives a note, not a number."""
  try:
    value, interval, *notes = METRICS[name].measure(comparison)
  except TooFewImages as error:
    return Score(None, None, (str(error),))
  if not np.isfinite(value):
    return Score(None, None, ('overflows: the features are too large',))
  return Score(value, interval, tuple(notes))


def floor(name: str, halves: Comparison) -> float | None:
  """What one half of the real set scores against the other.

  Args:
    name: Key of :data:`METRICS`.
    halves: ``Comparison.halves()``.

  Returns:
    The value, None where a half is too small or has no logits. It is what a
    perfect generator would score with so many images on either side.
  """
  if METRICS[name].needs_logits and halves.logits is None:
    return None
  return score(name, halves).value


def per_image(comparison: Comparison) -> PerImage | None:
  """Neighbour scores image by image; None if there are too few images."""
  try:
    near = comparison.train_neighbourhoods.generated
    return PerImage(
      comparison.neighbourhoods.realism,
      comparison.prdc.precision,
      comparison.neighbourhoods.generated.held_by,
      comparison.authentic,
      near.nearest_index,
      np.sqrt(near.nearest),
    )
  except TooFewImages:
    return None


def _fd(c: Comparison):
  result = frechet_distance(**c.sets, std_error=c.bootstrap > 0)
  interval = _normal(c, result, at_least=0.0)
  width = c.reference.values.shape[1]
  if min(c.counts) >= width:
    return result.value, interval
  note = f'fewer images than {width} features, so biased upwards'
  return result.value, interval, note


def _kid(c: Comparison):
  result = kid(**c.sets, seed=c.seed)
  note = f'std over subsets {result.subset_std:.3g}'
  if min(c.counts) <= SUBSET_SIZE:
    note = 'subsets are as large as a set'
  return result.value, _normal(c, result), note


def _mmd_poly(c: Comparison):
  result = polynomial_mmd(**c.sets)
  return result.value, _normal(c, result)


def _is(c: Comparison):
  result = inception_score(c.logits.values, mask=c.logits.mask, seed=c.seed)
  return result.value, _normal(c, result, at_least=1.0)


def _asw(c: Comparison):
  result = approximate_sliced_wasserstein(**c.sets)
  return result.value, _normal(c, result, at_least=0.0)


def _vendi(order: float):
  at = ORDERS.index(order)

  def measure(c: Comparison):
    value, interval = float(c.vendi.value[at]), None
    if c.bootstrap:
      error = float(c.vendi.std_error[at])
      interval = normal_interval(value, error, at_least=1.0)
    return value, interval

  return measure


def _mean_of(field: str):
  def measure(c: Comparison):
    return _bootstrapped(c, getattr(c.prdc, field))

  return measure


def _realism(c: Comparison):
  values = c.neighbourhoods.realism
  finite = values[np.isfinite(values)]
  if len(finite) == 0:
    raise TooFewImages('every image is an exact copy of a real one')
  value, interval, *notes = _bootstrapped(c, finite)
  if copies := len(values) - len(finite):
    notes.append(f'{copies} copies of infinite realism, not in the mean')
  return value, interval, *notes


def _authpct(c: Comparison):
  notes = []
  if copies := int(np.sum(c.train_neighbourhoods.generated.nearest == 0)):
    notes.append(f'{copies} exact copies of training images')
  if not c.train_given:
    notes.append('the reference stands for the training images')
  return *_bootstrapped(c, 100.0 * c.authentic), *notes


def _normal(c: Comparison, result, **bounds) -> Interval | None:
  if not c.bootstrap:
    return None
  return normal_interval(result.value, result.std_error, **bounds)


def _bootstrapped(c: Comparison, values: np.ndarray):
  """Mean of per-image scores, its interval, and a note if that is empty."""
  if not c.bootstrap:
    return float(values.mean()), None
  interval = bootstrap_mean(values, replicates=c.bootstrap, seed=c.seed)
  if np.any(values != values[0]):
    return float(values.mean()), interval
  note = 'every image scores the same, so the interval is empty'
  return float(values.mean()), interval, note


METRICS = {
  'fd': Metric('lower', _fd),
  'kid': Metric('lower', _kid),
  'mmd_poly': Metric('lower', _mmd_poly),
  'is': Metric('higher', _is, needs_logits=True),
  'asw': Metric('lower', _asw),
  'vendi': Metric('higher', _vendi(1.0)),
  'vendi_0.5': Metric('higher', _vendi(0.5)),
  'vendi_inf': Metric('higher', _vendi(np.inf)),
  'rke': Metric('higher', _vendi(2.0)),
  'precision': Metric('higher', _mean_of('precision'), per_image=True),
  'recall': Metric('higher', _mean_of('recall'), per_image=True),
  'density': Metric('higher', _mean_of('density'), per_image=True),
  'coverage': Metric('higher', _mean_of('coverage'), per_image=True),
  'realism': Metric('higher', _realism, per_image=True),
  'authpct': Metric('higher', _authpct, per_image=True),
}
