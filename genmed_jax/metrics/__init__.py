"""The metrics by name, each with its direction and its uncertainty."""

import difflib
from typing import NamedTuple

import numpy as np

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.nearest import nearest_neighbours, own_neighbours
from genmed_jax.engine.rows import TooFewImages
from genmed_jax.errors import UsageError
from genmed_jax.metrics.comparison import Comparison
from genmed_jax.metrics.copying import copying_test
from genmed_jax.metrics.discrepancies import kid
from genmed_jax.metrics.frechet import frechet_distance
from genmed_jax.metrics.frechet_infinity import frechet_distance_infinity
from genmed_jax.metrics.inception_score import inception_score
from genmed_jax.metrics.likelihood import (
  feature_likelihood_divergence,
  feature_likelihood_score,
)
from genmed_jax.metrics.manifold import (
  calibrated_coverage,
  clipped_coverage,
  clipped_density,
  prdc,
  realism,
)
from genmed_jax.metrics.marginals import marginal_wasserstein
from genmed_jax.metrics.memorisation import authenticity, memorisation_index
from genmed_jax.metrics.mmd import cmmd, gaussian_mmd, polynomial_mmd
from genmed_jax.metrics.neighbours import neighbourhoods
from genmed_jax.metrics.registry import METRICS
from genmed_jax.metrics.sliced import sliced_distances
from genmed_jax.metrics.vendi import rke, vendi_score
from genmed_jax.metrics.wasserstein import approximate_sliced_wasserstein
from genmed_jax.statistics.intervals import Interval

__all__ = [
  'approximate_sliced_wasserstein',
  'authenticity',
  'calibrated_coverage',
  'clipped_coverage',
  'clipped_density',
  'cmmd',
  'Comparison',
  'copying_test',
  'feature_likelihood_divergence',
  'feature_likelihood_score',
  'FeatureSet',
  'floor',
  'frechet_distance',
  'frechet_distance_infinity',
  'gaussian_mmd',
  'inception_score',
  'kid',
  'marginal_wasserstein',
  'memorisation_index',
  'METRICS',
  'nearest_neighbours',
  'neighbourhoods',
  'own_neighbours',
  'per_image',
  'polynomial_mmd',
  'prdc',
  'realism',
  'rke',
  'score',
  'Score',
  'select',
  'sliced_distances',
  'vendi_score',
]


class Score(NamedTuple):
  """One metric of one comparison; ``value`` is None where undefined."""

  value: float | None
  interval: Interval | None
  notes: tuple[str, ...]


class PerImage(NamedTuple):
  """What neighbours say of each generated image, arrays ``[m]``.

  The index is None where no images are left to hold out.
  """

  realism: np.ndarray
  in_real_manifold: np.ndarray
  density_count: np.ndarray
  authentic: np.ndarray
  nearest_train: np.ndarray
  nearest_train_distance: np.ndarray
  memorisation_index: np.ndarray | None


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
    halves: ``Comparison.halves``.

  Returns:
    The value, None where a half is too small or has no logits. It is what a
    perfect generator would score with so many images on either side.
  """
  reads = METRICS[name].reads
  if reads and reads not in halves.generated.features.beside:
    return None
  return score(name, halves).value


def per_image(comparison: Comparison) -> PerImage | None:
  """Neighbour scores image by image; None if there are too few images."""
  try:
    index = comparison.memorised[0]
  except TooFewImages:
    index = None
  try:
    near = comparison.to_train
    return PerImage(
      comparison.neighbourhoods.realism,
      comparison.prdc.precision,
      comparison.neighbourhoods.held_by_real,
      comparison.authentic,
      near.index[:, 0],
      np.sqrt(near.squared[:, 0]),
      index,
    )
  except TooFewImages:
    return None
