"""Feature likelihoods of held-out images, given generated ones.

A mixture of Gaussians is centred on the generated images and its variances
are fitted to the training images. Copies of training images are given
vanishing variances, and lose what they say of anything else: held-out images
become improbable where a generator memorises.
"""

from typing import NamedTuple

import jax
import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import on_feature_sets
from genmed_jax.engine.mixture import (
  Fit,
  fit_log_variances,
  negative_log_likelihoods,
  padded_rows,
  squared_distances_to,
)
from genmed_jax.engine.rows import Rows, shard_rows
from genmed_jax.errors import Undefined
from genmed_jax.metrics.base import Aspect, Comparison, Measured, Metric
from genmed_jax.metrics.memorisation import held_out_note
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import Estimate

_LARGEST = 1e16  # Deviations from the mean: their squares still add up.

MOST_IMAGES = 10_000  # Of each set: all distances are held.

_FLS_FIT = Fit(
  100,
  0.5,
  50,
  (-100.0, 20.0),
  per_dimension=False,
  from_nearest=False,
  floor=0.0,
  tolerance=0.0,
)
_FLD_FIT = Fit(
  50,
  0.5,
  50,
  (-40.0, 40.0),
  per_dimension=True,
  from_nearest=True,
  floor=1e-3,
  tolerance=5e-4,
)


class FeatureLikelihoodDivergence(NamedTuple):
  """FLD on ``test``, on ``train``, and the ``gap``: train less test."""

  test: Estimate
  train: Estimate
  gap: Estimate


@on_feature_sets(x64=False)
def feature_likelihood_score(
  train: FeatureSet, baseline: FeatureSet, test: FeatureSet, y: FeatureSet
) -> Estimate:
  r"""Feature Likelihood Score, of the first version of the paper.

  .. math:: 100 \exp\Bigl(-\tfrac2d (L_y - L_b)\Bigr)

  L being the mean negative log likelihood of test images under mixtures
  centred on the generated and on the baseline images, both fitted to the
  training images from log variances of 0 by 100 steps of Adam. Features are
  standardised over all four sets; a constant one is left out.

  Args:
    train: Training features, ``[n, d]``, to which variances are fitted.
    baseline: Other real features, ``[b, d]``; best as many as generated.
    test: Held-out real features, ``[t, d]``.
    y: Generated features, ``[m, d]``.

  Returns:
    The score, without an error; higher is better, 100 for a generator as good
    as real images.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.

  References:
    Jiralerspong et al., 2023, arXiv 2302.04440v1, section 3.
  """
  mesh = train.mesh
  train, baseline, test, y = _standardised(
    [each.to_host() for each in (train, baseline, test, y)], over=slice(None)
  )
  train, test = (_over(mesh, each) for each in (train, test))
  width = y.shape[1]
  losses = []
  for centres in (y, baseline):
    fitted = fit_log_variances(
      squared_distances_to(train, centres),
      train.mask,
      width,
      len(centres),
      _FLS_FIT,
    )
    losses.append(negative_log_likelihoods(test, centres, fitted))
  excess = 2 / width * (losses[0] - losses[1])
  return Estimate(float(100 * np.exp(-excess.mean())))


@on_feature_sets(x64=False)
def feature_likelihood_divergence(
  train: FeatureSet, test: FeatureSet, y: FeatureSet, *, seed: int = 2020
) -> FeatureLikelihoodDivergence:
  r"""Feature Likelihood Divergence, on test and train images, and their gap.

  .. math:: \mathrm{FLD}_S = \tfrac{100}{d} (L_y(S) - L_b), \quad
    \mathrm{gap} = \tfrac{100}{d} (L_y(\mathrm{train}) - L_y(\mathrm{test}))

  :math:`L_y(S)` is the mean negative log likelihood of S under the mixture
  centred on the generated images and fitted to the training images;
  :math:`L_b` is that of test images under a mixture centred on half of the
  training images, or as many as are generated if those are fewer, and fitted
  to the rest. Log variances start at the distance to the nearest training
  image and take at most 50 steps of Adam, beside a wide component about the
  training mean that only the fit sees. Features are standardised on the test
  images; those constant there are only centred.

  Args:
    train: Training features, ``[n, d]``.
    test: Held-out real features, ``[t, d]``.
    y: Generated features, ``[m, d]``.
    seed: Of the split of the training images into halves.

  Returns:
    :class:`FeatureLikelihoodDivergence`; lower is better for test and train,
    0 for a generator as good as real images. A negative gap says that
    training images are likelier than held-out ones: memorisation. Errors are
    over images, mixtures held fixed; that of ``test`` would be half of its
    spread and is left out.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.

  References:
    Jiralerspong et al., 2023, section 3 and appendix B.
  """
  if train.count < 4:
    raise Undefined(f'needs 4 training images for halves, got {train.count}')
  order = np.random.default_rng(seed).permutation(train.count)
  half = min(y.count, train.count // 2)
  mesh = train.mesh
  train, test, y = _standardised(
    [each.to_host() for each in (train, test, y)], over=slice(1, 2)
  )
  scored = _fitted(mesh, train, y)
  baseline = _fitted(mesh, train[order[half:]], train[order[:half]])
  on_test, on_train, base = (
    100 / y.shape[1] * negative_log_likelihoods(_over(mesh, images), *mixture)
    for images, mixture in (
      (test, scored),
      (train, scored),
      (test, baseline),
    )
  )
  return FeatureLikelihoodDivergence(
    Estimate(float(on_test.mean() - base.mean())),
    Estimate(
      float(on_train.mean() - base.mean()),
      float(np.hypot(_error(on_train), _error(base))),
    ),
    Estimate(
      float(on_train.mean() - on_test.mean()),
      float(np.hypot(_error(on_train), _error(on_test))),
    ),
  )


def _fitted(mesh: jax.sharding.Mesh, train: np.ndarray, centres: np.ndarray):
  """Centres and log variances of FLD's mixture."""
  width = centres.shape[1]
  mean = train.mean(axis=0, dtype=np.float64)
  train = _over(mesh, train)
  distances = squared_distances_to(train, centres, shrunk=mean)
  return centres, fit_log_variances(
    distances, train.mask, width, len(centres), _FLD_FIT
  )


def _over(mesh: jax.sharding.Mesh, values: np.ndarray) -> Rows:
  """Lays rows that every process knows over the mesh."""
  share = mesh_lib.local_share(len(values))
  mine = values[share.start : share.stop]
  return shard_rows(mesh, mine, padded=padded_rows)


def _standardised(sets: list[np.ndarray], over: slice) -> list[np.ndarray]:
  """Every set about the mean of ``sets[over]``, in units of its deviation.

  Block by block: the sets together may be all that memory holds.
  """
  over = sets[over]
  count = sum(map(len, over))
  mean = sum(each.sum(axis=0, dtype=np.float64) for each in over) / count
  squares = sum(
    np.sum((each[start : start + 1024] - mean) ** 2, axis=0)
    for each in over
    for start in range(0, len(each), 1024)
  )
  deviation = np.sqrt(squares / (count - 1))
  rounding = 8 * np.finfo(np.float64).eps * np.abs(mean)
  deviation[deviation <= rounding] = 1.0  # Of a constant.
  found = [_in_units(each, mean, deviation) for each in sets]
  if max(np.abs(each).max() for each in found) > _LARGEST:
    raise Undefined('sets lie too far apart for single precision')
  return found


def _in_units(values, mean, deviation) -> np.ndarray:
  """Float32, by blocks of rows: float64 is twice as large."""
  result = np.empty(values.shape, np.float32)
  for start in range(0, len(values), 1024):
    rows = slice(start, start + 1024)
    result[rows] = (values[rows] - mean) / deviation
  return result


def _error(values: np.ndarray) -> float:
  return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _likelihood_score(c: Comparison) -> Estimate:
  """FLS: half of the training images fit, as many others are the baseline."""
  train, test = c.held_out
  random = np.random.default_rng(c.seed)
  size = min(train.count // 2, c.generated.count, MOST_IMAGES)
  half, baseline = train.draw(random, size, size)
  scored = _at_most(test, random), _at_most(c.generated, random, size)
  return feature_likelihood_score(half, baseline, *scored)


def _likelihood_divergence(c: Comparison) -> FeatureLikelihoodDivergence:
  train, test = c.held_out
  random = np.random.default_rng(c.seed)
  sets = (_at_most(each, random) for each in (train, test, c.generated))
  return feature_likelihood_divergence(*sets, seed=c.seed)


def _at_most(
  images: FeatureSet, random: np.random.Generator, size: int | None = None
) -> FeatureSet:
  """As many of the images as likelihoods are taken of."""
  size = min(size or MOST_IMAGES, images.count)
  return images.draw(random, size)[0]


def _notes(c: Comparison) -> tuple[str, ...]:
  notes = held_out_note(c)
  if max(c.generated.count, *(s.count for s in c.held_out)) > MOST_IMAGES:
    notes += (f'of at most {MOST_IMAGES} images of each set',)
  return notes


def _fls(c: Comparison) -> Measured:
  return Measured.of(c.get(_likelihood_score), *_notes(c))


def _fld(field: str):
  def measure(c: Comparison) -> Measured:
    found = getattr(c.get(_likelihood_divergence), field)
    return Measured.of(found, *_notes(c))

  return measure


METRICS = tuple(
  Metric(
    name=name,
    aspect=Aspect.MEMORISATION,
    direction=direction,
    measure=measure,
    within=(0.0 if name == 'fls' else -np.inf, np.inf),
    takes_long=True,
    split_worth=0.35,
  )
  for name, direction, measure in (
    ('fls', Direction.HIGHER, _fls),
    ('fld', Direction.LOWER, _fld('test')),
    ('fld_train', Direction.LOWER, _fld('train')),
    ('fld_gap', Direction.ZERO, _fld('gap')),
  )
)
