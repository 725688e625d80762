"""Controlled damage to images and to sets of them, by family and level."""

from genmed_jax.perturb.base import Family
from genmed_jax.perturb.duplication import (
  external_duplication,
  internal_duplication,
)
from genmed_jax.perturb.morphology import boundary_blur, radial_gradient
from genmed_jax.perturb.noise import gaussian, poisson, rician
from genmed_jax.perturb.operator import image_keys
from genmed_jax.perturb.registry import FAMILIES
from genmed_jax.perturb.shift import (
  density_shift,
  mode_collapse,
  mode_invention,
)

__all__ = [
  'boundary_blur',
  'density_shift',
  'external_duplication',
  'FAMILIES',
  'Family',
  'gaussian',
  'image_keys',
  'internal_duplication',
  'mode_collapse',
  'mode_invention',
  'poisson',
  'radial_gradient',
  'rician',
]
