r"""From decoded pixels to a network's input, on device and for mixed sizes.

A batch is a canvas ``[b, H, W, c]`` that holds each image in its top left
corner, with the images' own ``sizes [b, 2]``. Resampling is a pair of small
matrices per image, built on device from its size, so one program serves every
size that fits the canvas, and what lies outside an image weighs nothing.
"""

from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

RESIZES = ('tf1', 'clean')


class Preprocess(NamedTuple):
  """Steps from pixels to the network's input; part of a feature's identity.

  Attributes:
    size: Side of the square input.
    resize: ``tf1``, bilinear without antialiasing on TensorFlow 1's grid, as
      the original FID code and torch-fidelity do; or ``clean``, antialiased
      bicubic in floating point, as clean-fid does.
    centre: What is subtracted, in units of 1/255.
    scale: What it is then divided by.
  """

  size: int = 299
  resize: str = 'tf1'
  centre: float = 128.0
  scale: float = 128.0


def preprocess(
  images: jax.Array, sizes: jax.Array, config: Preprocess
) -> jax.Array:
  """Resizes, repeats greyscale to three channels and standardises.

  Args:
    images: Canvas ``[b, H, W, c]``, c 1 or 3; unsigned integers over their
      full range, or floats in [0, 1].
    sizes: ``[b, 2]`` int32, height and width of each image in the canvas.
    config: What to do.

  Returns:
    ``[b, size, size, 3]`` float32.
  """
  top = 1.0
  if jnp.issubdtype(images.dtype, jnp.integer):
    top = jnp.iinfo(images.dtype).max
  images = images.astype(jnp.float32) * (255.0 / top)
  rows, columns = (
    _weights(sizes[:, axis], images.shape[1 + axis], config) for axis in (0, 1)
  )
  images = jnp.einsum(
    'boh,bhwc->bowc', rows, images, precision=lax.Precision.HIGHEST
  )
  images = jnp.einsum(
    'bpw,bowc->bopc', columns, images, precision=lax.Precision.HIGHEST
  )
  if config.resize == 'clean':  # Bicubic weights overshoot at edges.
    images = jnp.clip(images, 0.0, 255.0)
  images = (images - config.centre) / config.scale
  return jnp.broadcast_to(images, (*images.shape[:3], 3))


def _weights(sizes: jax.Array, extent: int, config: Preprocess) -> jax.Array:
  """Resampling matrices ``[b, size, extent]`` of images ``sizes [b]`` long."""
  size = sizes[:, None, None].astype(jnp.float32)
  out = jnp.arange(config.size, dtype=jnp.float32)[:, None]
  pixel = jnp.arange(extent, dtype=jnp.float32)
  if config.resize == 'tf1':
    source = jnp.minimum(out * size / config.size, size - 1)
    return jnp.maximum(0.0, 1.0 - jnp.abs(source - pixel))
  ratio = size / config.size
  distance = (out + 0.5) * ratio - (pixel + 0.5)
  weights = _cubic(distance / jnp.maximum(ratio, 1.0))
  weights = jnp.where(pixel < size, weights, 0.0)
  return weights / jnp.sum(weights, axis=2, keepdims=True)


def _cubic(x: jax.Array) -> jax.Array:
  """Keys' cubic kernel, a = -1/2, of support 2."""
  x = jnp.abs(x)
  near = (1.5 * x - 2.5) * x**2 + 1.0
  far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
  return jnp.where(x < 1, near, jnp.where(x < 2, far, 0.0))
