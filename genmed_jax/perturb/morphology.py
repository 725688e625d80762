"""Damage to a region alone, which the rest of the image does not show.

Operators take a key, images ``[n, h, w]`` float32 in [0, 1] and as many masks
(bool), and give images. They draw nothing; images without a region come back
as they are.
"""

import jax.numpy as jnp

from genmed_jax.engine.filters import depth_inside, gaussian_blur
from genmed_jax.perturb.base import ActsOn, Family
from genmed_jax.perturb.operator import on_images


@on_images(static=('band',))
def boundary_blur(key, image, mask, *, level, band: int = 3):
  """Blurs the inner edge of the region.

  Args:
    key: Not used.
    image: ``[n, h, w]``.
    mask: ``[n, h, w]``.
    level: Standard deviation of the Gaussian, in pixels.
    band: How far inwards from the edge, in pixels.
  """
  del key
  depth = depth_inside(mask, reach=band)
  edge = (depth > 0) & (depth <= band)
  return jnp.where(edge, gaussian_blur(image, level), image)


@on_images()
def radial_gradient(
  key, image, mask, *, level, amplitude: float = 0.1, waves: float = 1.0
):
  r"""Lays rings over the region, about its centroid.

  .. math:: I (1 + a \sin(2 \pi w r / R)), \quad a = amplitude \cdot level

  where r is the distance from the centroid and R the largest in the region.

  Args:
    key: Not used.
    image: ``[n, h, w]``.
    mask: ``[n, h, w]``.
    level: Multiplies ``amplitude``.
    amplitude: Relative change at level 1.
    waves: Periods between the centroid and the farthest pixel.
  """
  del key
  weight = mask / jnp.maximum(mask.sum(), 1)
  rows, columns = jnp.indices(image.shape)
  r = jnp.hypot(
    rows - jnp.sum(weight * rows), columns - jnp.sum(weight * columns)
  )
  furthest = jnp.maximum(jnp.max(jnp.where(mask, r, 0.0)), 1.0)
  wave = jnp.sin(2 * jnp.pi * waves * r / furthest)
  changed = jnp.clip(image * (1 + amplitude * level * wave), 0.0, 1.0)
  return jnp.where(mask, changed, image)


FAMILIES = tuple(
  Family(name=name, operator=operator, levels=(1, 2, 3), acts_on=ActsOn.REGION)
  for name, operator in (
    ('boundary_blur', boundary_blur),
    ('radial_gradient', radial_gradient),
  )
)
