"""Smooth random shapes and fields, out of which a phantom is drawn.

Coordinates run from -1 to 1 over the image, y downwards.
"""

import functools

import jax
from jax import lax
import jax.numpy as jnp

from genmed_jax.data.phantom.chance import Draw

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


def harmonics(path: tuple[int, ...], high: int) -> Draw:
  """What :func:`wobble` needs to have harmonics of frequencies below ``high``.

  Args:
    path: Of the draw.
    high: At least 2.
  """
  return Draw(path, (high - 1, 2), normal=True)


def wobble(weights, x, y, low: int, amplitude) -> jax.Array:
  """A random periodic function of the angle of (x, y), about zero.

  Its harmonics, of frequencies from ``low`` on, are the powers of
  (x + iy) / |x + iy|, so no angle is ever taken. They are written out rather
  than scanned over: one kernel, which keeps them out of memory.

  Args:
    weights: As :func:`harmonics` has them drawn.
    x: Coordinates ``[h, w]``.
    y: The same, downwards.
    low: Smallest frequency.
    amplitude: Of the function.
  """
  radius = jnp.maximum(jnp.hypot(x, y), 1e-6)
  cosine, sine = x / radius, y / radius
  real, imaginary, total = cosine, sine, jnp.zeros_like(x)
  for frequency, (a, b) in enumerate(weights, 1):
    if frequency >= low:
      total += a * real + b * imaginary
    real, imaginary = (
      real * cosine - imaginary * sine,
      real * sine + imaginary * cosine,
    )
  return amplitude * total / (len(weights) + 1 - low) ** 0.5


def waves(name: str, path: tuple[int, ...]) -> dict[str, Draw]:
  """What :func:`smooth_field` needs, as ``NAME`` and ``NAME phase``."""
  return {
    name: Draw(path, (2, _WAVES), normal=True),
    f'{name} phase': Draw((*path, 1), (_WAVES,)),
  }


def smooth_field(k, phase, size: int, frequency) -> jax.Array:
  """A random field ``[size, size]`` of unit variance out of plane waves.

  Args:
    k: Their frequencies ``[2, waves]``, standard normal.
    phase: Their phases ``[waves]`` in [0, 1).
    size: Side in pixels.
    frequency: Multiplies theirs.
  """
  axis = (jnp.arange(size) + 0.5) / size * 2 - 1
  k = frequency * k
  down = axis[:, None] * k[0] + 2 * jnp.pi * phase
  across = axis[:, None] * k[1]
  # cos(a + b), summed over waves, as two products of small matrices.
  field = _product(jnp.cos(down), jnp.cos(across).T)
  field -= _product(jnp.sin(down), jnp.sin(across).T)
  return field * (2 / _WAVES) ** 0.5
