"""The metrics: pure functions of feature sets, and their declarations.

A statistic takes sets of features, ``x [n, d]`` real and ``y [m, d]``
generated, as arrays, ``Rows`` or :class:`FeatureSet`, and gives an
:class:`Estimate`. A module that lists :class:`Metric` under ``METRICS`` adds
them to those that commands offer.
"""

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.nearest import nearest_neighbours, own_neighbours
from genmed_jax.metrics.asw import approximate_sliced_wasserstein
from genmed_jax.metrics.base import Comparison, Metric, Score
from genmed_jax.metrics.clipped import (
  calibrated_coverage,
  clipped_coverage,
  clipped_density,
)
from genmed_jax.metrics.ct import copying_test
from genmed_jax.metrics.frechet import frechet_distance
from genmed_jax.metrics.frechet_infinity import frechet_distance_infinity
from genmed_jax.metrics.inception_score import inception_score
from genmed_jax.metrics.kid import kid
from genmed_jax.metrics.likelihood import (
  feature_likelihood_divergence,
  feature_likelihood_score,
)
from genmed_jax.metrics.marginals import marginal_wasserstein
from genmed_jax.metrics.memorisation import authenticity, memorisation_index
from genmed_jax.metrics.mmd import cmmd, gaussian_mmd, polynomial_mmd
from genmed_jax.metrics.neighbours import neighbourhoods
from genmed_jax.metrics.prdc import prdc, realism
from genmed_jax.metrics.registry import METRICS, score, select
from genmed_jax.metrics.sliced import sliced_distances
from genmed_jax.metrics.vendi import rke, vendi_score
from genmed_jax.statistics.intervals import Estimate

__all__ = [
  'approximate_sliced_wasserstein',
  'authenticity',
  'calibrated_coverage',
  'clipped_coverage',
  'clipped_density',
  'cmmd',
  'Comparison',
  'copying_test',
  'Estimate',
  'feature_likelihood_divergence',
  'feature_likelihood_score',
  'FeatureSet',
  'frechet_distance',
  'frechet_distance_infinity',
  'gaussian_mmd',
  'inception_score',
  'kid',
  'marginal_wasserstein',
  'memorisation_index',
  'Metric',
  'METRICS',
  'nearest_neighbours',
  'neighbourhoods',
  'own_neighbours',
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
