"""Controlled damage to images and to sets of them, by family and level."""

from collections.abc import Callable
from typing import NamedTuple

from genmed_jax.perturb.duplication import (
  external_duplication,
  internal_duplication,
)
from genmed_jax.perturb.morphology import boundary_blur, radial_gradient
from genmed_jax.perturb.noise import gaussian, poisson, rician
from genmed_jax.perturb.operator import image_keys
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


class Family(NamedTuple):
  """A family of perturbations.

  Attributes:
    operator: What it does.
    levels: Of the established protocol.
    reads: What it acts on: ``image``, ``mask`` (an image and its mask), or
      the indices of a set: ``train``, ``set``, ``class`` or ``scanner``.
  """

  operator: Callable
  levels: tuple[float, ...]
  reads: str


# Deo et al., Metrics that Matter, section on perturbations.
FAMILIES = {
  'gaussian': Family(gaussian, (0.01, 0.05, 0.1), 'image'),
  'rician': Family(rician, (0.01, 0.05, 0.1), 'image'),
  'poisson': Family(poisson, (0.01, 0.05, 0.1), 'image'),
  'boundary_blur': Family(boundary_blur, (1, 2, 3), 'mask'),
  'radial_gradient': Family(radial_gradient, (1, 2, 3), 'mask'),
  'external_duplication': Family(
    external_duplication, (5, 15, 30, 45), 'train'
  ),
  'internal_duplication': Family(internal_duplication, (5, 15, 30, 45), 'set'),
  'mode_collapse': Family(mode_collapse, (1, 2), 'class'),
  'density_shift': Family(density_shift, (10, 25, 75, 90), 'scanner'),
  'mode_invention': Family(mode_invention, (0.05, 0.07, 0.1), 'image'),
}
