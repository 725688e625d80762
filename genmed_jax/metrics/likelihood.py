"""Feature likelihoods: how probable held-out images are, given generated ones.

A mixture of Gaussians is centred on the generated images and its variances
are fitted to the training images. Copies of training images are given
vanishing variances, and lose what they say of anything else: held-out images
become improbable where a generator memorises.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.mesh import host_rows, Rows, take_rows
from genmed_jax.engine.mixture import (
  Fit,
  fit_log_variances,
  least_distances,
  negative_log_likelihoods,
  squared_distances_to,
)
from genmed_jax.engine.rows import TooFewImages
from genmed_jax.statistics.intervals import Estimate

_FLS_FIT = Fit(100, 0.5, 50, (-100.0, 20.0), per_dimension=False, tolerance=0.0)
_FLD_FIT = Fit(50, 0.5, 50, (-40.0, 40.0), per_dimension=True, tolerance=5e-4)
# Of the component about the training mean, which fits but does not score.
_FLD_SHRINK = 0.9**2
_FLD_FLOOR = 1e-3


class FeatureLikelihoodDivergence(NamedTuple):
  """FLD on ``test``, on ``train``, and the ``gap``: train less test."""

  test: Estimate
  train: Estimate
  gap: Estimate


def feature_likelihood_score(
  train: np.ndarray,
  baseline: np.ndarray,
  test: np.ndarray,
  y: np.ndarray,
  *,
  mesh: jax.sharding.Mesh | None = None,
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
    mesh: The devices; all of this process's if None.

  Returns:
    The score; higher is better, 100 for a generator as good as real images.
    The error is over test images, mixtures held fixed.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.

  References:
    Jiralerspong et al., 2023, arXiv 2302.04440v1, section 3.
  """
  train, baseline, test, y = _standardised(
    _checked(train, baseline, test, y), over=slice(None)
  )
  mesh = mesh or mesh_lib.data_mesh(jax.local_devices())
  train, test = (mesh_lib.shard_rows(mesh, each) for each in (train, test))
  width = y.shape[1]
  losses = []
  for centres in (y, baseline):
    weights = np.full(len(centres), -np.log(len(centres)))
    fitted = fit_log_variances(
      squared_distances_to(train, centres),
      train.mask,
      width,
      np.zeros(len(centres)),
      weights,
      _FLS_FIT,
    )
    losses.append(negative_log_likelihoods(test, centres, fitted, weights))
  excess = 2 / width * (losses[0] - losses[1])
  value = 100 * np.exp(-excess.mean())
  return Estimate(float(value), float(value * _error(excess)))


def feature_likelihood_divergence(
  train: np.ndarray,
  test: np.ndarray,
  y: np.ndarray,
  *,
  seed: int = 2020,
  mesh: jax.sharding.Mesh | None = None,
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
    mesh: The devices; all of this process's if None.

  Returns:
    :class:`FeatureLikelihoodDivergence`; lower is better for test and train,
    0 for a generator as good as real images. A negative gap says that
    training images are likelier than held-out ones: memorisation. Errors are
    over images, mixtures held fixed.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.

  References:
    Jiralerspong et al., 2023, section 3 and appendix B.
  """
  train, test, y = _checked(train, test, y)
  if len(train) < 4:
    raise TooFewImages(f'needs 4 training images for halves, got {len(train)}')
  order = np.random.default_rng(seed).permutation(len(train))
  half = min(len(y), len(train) // 2)
  train, test, y = _standardised([train, test, y], over=slice(1, 2))
  mesh = mesh or mesh_lib.data_mesh(jax.local_devices())
  train, test = (mesh_lib.shard_rows(mesh, each) for each in (train, test))
  y = mesh_lib.replicate(mesh, y)
  scored = _fitted(train, y)
  half_train = host_rows(*take_rows(train, order[:half]))
  baseline = _fitted(
    take_rows(train, order[half:]), mesh_lib.replicate(mesh, half_train)
  )
  on_test, on_train, base = (
    100 / y.shape[1] * negative_log_likelihoods(images, *mixture)
    for images, mixture in (
      (test, scored),
      (train, scored),
      (test, baseline),
    )
  )
  return FeatureLikelihoodDivergence(
    Estimate(float(on_test.mean() - base.mean()), _error(on_test - base)),
    Estimate(
      float(on_train.mean() - base.mean()),
      float(np.hypot(_error(on_train), _error(base))),
    ),
    Estimate(
      float(on_train.mean() - on_test.mean()),
      float(np.hypot(_error(on_train), _error(on_test))),
    ),
  )


def _fitted(train: Rows, centres: jax.Array):
  """Centres, log variances and log weights of FLD's mixture."""
  count, width = int(train.mask.sum()), centres.shape[1]
  mean = _masked_sum(train) / count
  scale = np.append(np.ones(len(centres)), _FLD_SHRINK)  # The mean's.
  distances = squared_distances_to(train, jnp.vstack([centres, mean]), scale)
  nearest = least_distances(distances, train.mask)
  start = np.log((nearest[:-1] + _FLD_FLOOR) / width)
  weights = np.full(len(centres), -np.log(len(centres)))
  fitted = fit_log_variances(
    distances,
    train.mask,
    width,
    np.append(start, 0.0),
    np.append(weights, 0.0),
    _FLD_FIT,
  )
  return centres, fitted[:-1], weights


@jax.jit
def _masked_sum(x: Rows) -> jax.Array:
  return jnp.sum(jnp.where(x.mask[:, None], x.values, 0.0), axis=0)


def _checked(*sets: np.ndarray) -> list[np.ndarray]:
  sets = [np.asarray(each) for each in sets]
  widths = {each.shape[1] if each.ndim == 2 else each.shape for each in sets}
  if len(widths) > 1 or sets[0].ndim != 2:
    raise ValueError(
      f'features must be [n, d] of one width, not {[s.shape for s in sets]}'
    )
  if (fewest := min(map(len, sets))) < 2:
    raise TooFewImages(f'needs at least 2 images of each set, got {fewest}')
  if not all(np.isfinite(each).all() for each in sets):
    raise ValueError('features are not finite')
  return sets


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
  deviation[deviation == 0] = 1.0
  return [_in_units(each, mean, deviation) for each in sets]


def _in_units(values, mean, deviation) -> np.ndarray:
  """Float32, by blocks of rows: float64 is twice as large."""
  result = np.empty(values.shape, np.float32)
  for start in range(0, len(values), 1024):
    rows = slice(start, start + 1024)
    result[rows] = (values[rows] - mean) / deviation
  return result


def _error(values: np.ndarray) -> float:
  return float(np.std(values, ddof=1) / np.sqrt(len(values)))
