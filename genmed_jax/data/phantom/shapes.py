"""Smooth random shapes and fields, out of which a phantom is drawn.

Coordinates run from -1 to 1 over the image, y downwards.
"""

import functools

import jax
from jax import lax
import jax.numpy as jnp

_WAVES = 24

_product = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)


def grid(size: int, tilt, dx, dy) -> tuple[jax.Array, jax.Array]:
  """Coordinates of the pixels' centres in a head that is moved, then tilted.

  Args:
    size: Side in pixels.
    tilt: Angle of the head.
    dx: Where its middle is.
    dy: The same, downwards.

  Returns:
    Its own coordinates x and y, ``[size, size]`` each.
  """
  axis = (jnp.arange(size) + 0.5) / size * 2 - 1
  x, y = jnp.meshgrid(axis, axis)
  return (
    jnp.cos(tilt) * (x - dx) + jnp.sin(tilt) * (y - dy),
    jnp.cos(tilt) * (y - dy) - jnp.sin(tilt) * (x - dx),
  )


def ellipse(x, y, a, b) -> jax.Array:
  """Below 1 inside an ellipse about the origin of half-axes a and b."""
  return jnp.hypot(x / a, y / b)


def wobble(key, x, y, frequencies: tuple[int, int], amplitude) -> jax.Array:
  """A random periodic function of the angle of (x, y), about zero.

  Its harmonics, of frequencies in ``[low, high)``, are the powers of
  (x + iy) / |x + iy|, so no angle is ever taken.
  """
  low, high = frequencies
  radius = jnp.maximum(jnp.hypot(x, y), 1e-6)
  cosine, sine = x / radius, y / radius

  def add(carry, weights):
    real, imaginary, total = carry
    total += weights[0] * real + weights[1] * imaginary
    turned = real * cosine - imaginary * sine, real * sine + imaginary * cosine
    return (*turned, total), None

  weights = jax.random.normal(key, (high - 1, 2))
  weights *= (jnp.arange(1, high) >= low)[:, None]
  start = cosine, sine, jnp.zeros_like(x)
  (_, _, total), _ = lax.scan(add, start, weights)
  return amplitude * total / (high - low) ** 0.5


def smooth_field(key, size: int, frequency) -> jax.Array:
  """A random field ``[size, size]`` of unit variance out of plane waves."""
  axis = (jnp.arange(size) + 0.5) / size * 2 - 1
  k = frequency * jax.random.normal(key, (2, _WAVES))
  phase = jax.random.uniform(jax.random.fold_in(key, 1), (_WAVES,))
  down = axis[:, None] * k[0] + 2 * jnp.pi * phase
  across = axis[:, None] * k[1]
  # cos(a + b), summed over waves, as two products of small matrices.
  field = _product(jnp.cos(down), jnp.cos(across).T)
  field -= _product(jnp.sin(down), jnp.sin(across).T)
  return field * (2 / _WAVES) ** 0.5
