"""Every metric under its key: direction, value, interval and notes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.mesh import host_rows
from genmed_jax.engine.rows import TooFewImages
from genmed_jax.metrics.comparison import Comparison, LIKELIHOOD_IMAGES
from genmed_jax.metrics.copying import copying_test
from genmed_jax.metrics.discrepancies import SUBSET_SIZE
from genmed_jax.metrics.frechet import frechet_distance
from genmed_jax.metrics.frechet_infinity import frechet_distance_infinity
from genmed_jax.metrics.inception_score import inception_score
from genmed_jax.metrics.manifold import (
  calibrated_coverage,
  clipped_coverage,
  clipped_density,
)
from genmed_jax.metrics.vendi import ORDERS
from genmed_jax.metrics.wasserstein import approximate_sliced_wasserstein
from genmed_jax.statistics.intervals import (
  bootstrap_mean,
  Interval,
  normal_interval,
)


class Metric(NamedTuple):
  """A metric of the registry.

  Attributes:
    direction: Which way is better: ``lower``, ``higher`` or ``target:0``.
    measure: Comparison to ``(value, interval or None, *notes)``.
    reads: What it reads instead of the features: one of ``features.BESIDE``.
    per_image: Whether it is made of the scores in ``metrics.PerImage``.
  """

  direction: str
  measure: Callable
  reads: str | None = None
  per_image: bool = False


def _fd(c: Comparison):
  result = _fd_between(c.reference, c.generated, c.bootstrap > 0)
  return *_with_error(c, result, at_least=0.0), *_fewer_than_features(c)


def _sfid(c: Comparison):
  x, y = (each.beside('spatial') for each in (c.reference, c.generated))
  result = frechet_distance(
    x.values,
    y.values,
    mask_x=x.mask,
    mask_y=y.mask,
    std_error=c.bootstrap > 0,
  )
  value, interval = _with_error(c, result, at_least=0.0)
  if min(c.counts) >= (width := x.values.shape[1]):
    return value, interval
  return value, interval, f'fewer images than {width} spatial features'


def _fd_inf(c: Comparison):
  result = frechet_distance_infinity(
    **c.sets, seed=c.seed, fit_x=c.reference.gaussian
  )
  notes = _fewer_than_features(c)
  return *_with_error(c, result), 'the error is that of the line', *notes


def _relative_fd(c: Comparison):
  halves = c.halves
  random = np.random.default_rng(c.seed)
  (made,) = c.generated.draw(random, halves.generated.count)
  (value, error), (floor, floor_error) = (
    _fd_between(halves.reference, other, c.bootstrap > 0)
    for other in (made, halves.generated)
  )
  if floor == 0:
    raise TooFewImages('the halves of the reference do not differ')
  ratio = value / floor
  note = f'{made.count} images on either side'
  if not c.bootstrap:
    return ratio, None, note
  spread = np.hypot(error / floor, ratio * floor_error / floor)
  return ratio, normal_interval(ratio, float(spread), at_least=0.0), note


def _fd_between(x: FeatureSet, y: FeatureSet, std_error: bool):
  return frechet_distance(
    x.rows.values,
    y.rows.values,
    mask_x=x.rows.mask,
    mask_y=y.rows.mask,
    std_error=std_error,
    fit_x=x.gaussian,
    fit_y=y.gaussian,
  )


def _fewer_than_features(c: Comparison) -> list[str]:
  width = c.reference.rows.values.shape[1]
  if min(c.counts) >= width:
    return []
  return [f'fewer images than {width} features, so biased upwards']


def _kid(c: Comparison):
  result = c.discrepancies.kid
  note = f'std over subsets {result.subset_std:.3g}'
  if min(c.counts) <= SUBSET_SIZE:
    note = 'subsets are as large as a set'
  return *_with_error(c, result), note


def _mmd_poly(c: Comparison):
  return _with_error(c, c.discrepancies.polynomial)


def _mmd_rbf(c: Comparison):
  if c.discrepancies.gaussian is None:
    raise TooFewImages('too many real images are equal for a bandwidth')
  note = f'bandwidth {c.discrepancies.bandwidth:.4g}'
  return *_with_error(c, c.discrepancies.gaussian), note


def _is(c: Comparison):
  logits = c.generated.beside('logits')
  result = inception_score(logits.values, mask=logits.mask, seed=c.seed)
  return _with_error(c, result, at_least=1.0)


def _asw(c: Comparison):
  result = approximate_sliced_wasserstein(**c.sets, std_error=c.bootstrap > 0)
  return _with_error(c, result, at_least=0.0)


def _sliced(field: str):
  def measure(c: Comparison):
    return _with_error(c, getattr(c.sliced, field), at_least=0.0)

  return measure


def _vendi(order: float):
  at = ORDERS.index(order)

  def measure(c: Comparison):
    value, interval = float(c.vendi.value[at]), None
    if c.bootstrap:
      error = float(c.vendi.std_error[at])
      interval = normal_interval(value, error, at_least=1.0)
    return value, interval

  return measure


def _prdc(field: str):
  def measure(c: Comparison):
    return _bootstrapped(c, getattr(c.prdc, field))

  return measure


def _clipped_density(c: Comparison):
  scores = clipped_density(c.neighbourhoods)
  value, interval, *notes = _bootstrapped(c, scores)
  if interval:
    low, high = (min(end, 1.0) for end in interval[1:])
    interval = Interval(interval.std_error, low, high)
  if value > 1:
    notes.append(f'{value:.4g} before it is clipped at 1')
  return min(value, 1.0), interval, *notes


def _clipped_coverage(c: Comparison):
  scores = clipped_coverage(c.neighbourhoods)
  covered, interval, *notes = _bootstrapped(c, scores)
  k = c.neighbourhoods.k
  if interval is None:
    return calibrated_coverage(covered, *c.counts, k), None, *notes
  error, low, high = interval
  ends = covered, low, high, covered - error, covered + error
  value, low, high, below, above = calibrated_coverage(ends, *c.counts, k)
  error = max(above - value, value - below)
  return value, Interval(error, low, high), *notes


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
  if copies := int(np.sum(c.to_train.squared == 0)):
    notes.append(f'{copies} exact copies of training images')
  if not c.train_given:
    notes.append('the reference stands for the training images')
  return *_bootstrapped(c, 100.0 * c.authentic), *notes


def _memorised(c: Comparison):
  index, threshold = c.memorised
  notes = _held_out_notes(c)
  return *_bootstrapped(c, 100.0 * (index > threshold)), *notes


def _predicted_dice(c: Comparison):
  rows = c.generated.beside('predicted_dice')
  return _bootstrapped(c, host_rows(*rows)[:, 0].astype(np.float64))


def _fls(c: Comparison):
  result = c.likelihood_score
  return *_with_error(c, result, at_least=0.0), *_likelihood_notes(c)


def _fld(field: str):
  def measure(c: Comparison):
    result = getattr(c.likelihood_divergence, field)
    return *_with_error(c, result), *_likelihood_notes(c)

  return measure


def _likelihood_notes(c: Comparison) -> list[str]:
  notes = _held_out_notes(c)
  if max(c.generated.count, *(s.count for s in c.held_out)) > LIKELIHOOD_IMAGES:
    notes.append(f'of at most {LIKELIHOOD_IMAGES} images of each set')
  return notes


def _ct(c: Comparison):
  train, test = c.held_out
  return _copying(c, train, test, c.generated)


def _ct_mem(c: Comparison):
  train, test = c.held_out
  return _copying(c, c.generated, test, train)


def _ct_mode(c: Comparison):
  _, test = c.held_out
  half = test.count // 2
  random = np.random.default_rng(c.seed)
  one, other = test.draw(random, test.count - half, half)
  return _copying(c, one, other, c.generated)


def _copying(c: Comparison, train: FeatureSet, test: FeatureSet, y: FeatureSet):
  result = copying_test(
    train.rows.values,
    test.rows.values,
    y.rows.values,
    mask_train=train.rows.mask,
    mask_test=test.rows.mask,
    mask_y=y.rows.mask,
    seed=c.seed,
  )
  return *_with_error(c, result), *_held_out_notes(c)


def _held_out_notes(c: Comparison) -> list[str]:
  if c.test_given:
    return []
  whose = 'training images' if c.train_given else 'reference'
  return [f'a half of the {whose} is held out']


def _with_error(c: Comparison, result, **bounds):
  """Value and normal interval of a result with a standard error."""
  if not c.bootstrap:
    return result.value, None
  return result.value, normal_interval(result.value, result.std_error, **bounds)


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
  'sfid': Metric('lower', _sfid, reads='spatial'),
  'fd_inf': Metric('lower', _fd_inf),
  'relative_fd': Metric('lower', _relative_fd),
  'kid': Metric('lower', _kid),
  'mmd_poly': Metric('lower', _mmd_poly),
  'mmd_rbf': Metric('lower', _mmd_rbf),
  'is': Metric('higher', _is, reads='logits'),
  'asw': Metric('lower', _asw),
  'sw1': Metric('lower', _sliced('sw1')),
  'sw2': Metric('lower', _sliced('sw2')),
  'mind': Metric('lower', _sliced('mind')),
  'vendi': Metric('higher', _vendi(1.0)),
  'vendi_0.5': Metric('higher', _vendi(0.5)),
  'vendi_inf': Metric('higher', _vendi(np.inf)),
  'rke': Metric('higher', _vendi(2.0)),
  'precision': Metric('higher', _prdc('precision'), per_image=True),
  'recall': Metric('higher', _prdc('recall'), per_image=True),
  'density': Metric('higher', _prdc('density'), per_image=True),
  'coverage': Metric('higher', _prdc('coverage'), per_image=True),
  'clipped_density': Metric('higher', _clipped_density, per_image=True),
  'clipped_coverage': Metric('higher', _clipped_coverage, per_image=True),
  'realism': Metric('higher', _realism, per_image=True),
  'authpct': Metric('higher', _authpct, per_image=True),
  'memorised': Metric('lower', _memorised, per_image=True),
  'ct': Metric('target:0', _ct),
  'ct_mode': Metric('target:0', _ct_mode),
  'ct_mem': Metric('target:0', _ct_mem),
  'fls': Metric('higher', _fls),
  'fld': Metric('lower', _fld('test')),
  'fld_train': Metric('lower', _fld('train')),
  'fld_gap': Metric('target:0', _fld('gap')),
  'predicted_dice': Metric('higher', _predicted_dice, reads='predicted_dice'),
}
