"""Noise of three laws.

Operators take a key and images ``[n, h, w]`` float32 in [0, 1], and give the
same. ``level`` is a standard deviation, at a range of 1.
"""

import jax
import jax.numpy as jnp

from genmed_jax.perturb.base import ActsOn, Family
from genmed_jax.perturb.operator import on_images


@on_images()
def gaussian(key, image, *, level):
  """Adds normal noise: clip(I + n), n ~ N(0, level²)."""
  noise = level * jax.random.normal(key, image.shape)
  return jnp.clip(image + noise, 0.0, 1.0)


@on_images()
def rician(key, image, *, level):
  """Noise of a magnitude image: clip(sqrt((I + n₁)² + n₂²)), nᵢ ~ N(0, level²).

  Unlike Gaussian noise it lifts what is dark.

  References:
    Gudbjartsson and Patz, 1995, eq. 1.
  """
  n1, n2 = level * jax.random.normal(key, (2, *image.shape))
  return jnp.clip(jnp.hypot(image + n1, n2), 0.0, 1.0)


@on_images()
def poisson(key, image, *, level):
  """Counting noise: clip(s Poisson(I / s)), s = level².

  Its standard deviation is level √I, so ``level`` where the image is 1.
  """
  scale = level**2
  counts = jax.random.poisson(key, image / scale)
  return jnp.clip(scale * counts, 0.0, 1.0)


FAMILIES = tuple(
  Family(
    name=name,
    operator=operator,
    levels=(0.01, 0.05, 0.1),
    acts_on=ActsOn.IMAGE,
  )
  for name, operator in (
    ('gaussian', gaussian),
    ('rician', rician),
    ('poisson', poisson),
  )
)
