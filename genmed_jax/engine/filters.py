"""Filters of single images ``[h, w]``, as programs for the device."""

import functools
import itertools

import jax
from jax import lax
import jax.numpy as jnp

_product = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)


def gaussian_blur(image: jax.Array, sigma) -> jax.Array:
  """Convolves with a Gaussian whose weights sum to 1 at the edges too.

  A product with a small matrix per axis, so ``sigma`` may be traced and its
  size costs nothing.

  Args:
    image: ``[h, w]``.
    sigma: Standard deviation in pixels; above 0.
  """
  down, across = (_weights(extent, sigma) for extent in image.shape)
  return _product(down, _product(image, across.T))


def _weights(extent: int, sigma) -> jax.Array:
  at = jnp.arange(extent)
  weights = jnp.exp(-0.5 * ((at[:, None] - at) / sigma) ** 2)
  return weights / weights.sum(axis=1, keepdims=True)


def depth_inside(mask: jax.Array, *, reach: int) -> jax.Array:
  """Distance of each pixel of a region from the nearest one outside it.

  The exact Euclidean distance up to ``reach`` pixels; what is deeper gets
  infinity, and what is outside 0. Beyond the image's edges nothing is outside.

  Args:
    mask: ``[h, w]`` bool.
    reach: In pixels.
  """
  height, width = mask.shape
  padded = jnp.pad(mask, reach, constant_values=True)
  squared = jnp.where(mask, jnp.inf, 0.0)
  steps = range(-reach, reach + 1)
  for down, across in itertools.product(steps, steps):
    if down**2 + across**2 <= reach**2:
      start = reach + down, reach + across
      there = lax.dynamic_slice(padded, start, (height, width))
      squared = jnp.where(
        there, squared, jnp.minimum(squared, down**2 + across**2)
      )
  return jnp.sqrt(squared)


def gradient_magnitude(image: jax.Array) -> jax.Array:
  """Length of the gradient ``[h, w]``, central differences, per pixel."""
  down, across = jnp.gradient(image)
  return jnp.hypot(down, across)
