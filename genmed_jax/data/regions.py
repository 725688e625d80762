"""Regions of interest: cut out at native resolution, and described.

A tumour fills a hundredth of a slice, and a network that sees the whole slice
sees little of it. Cut out, it fills the network's input; and its edge and its
texture are statistics of their own.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.data.source import Source
from genmed_jax.engine.filters import depth_inside, gradient_magnitude

# Columns of :func:`describe`.
STATISTICS = ('sharpness', 'spread', 'gradient', 'roughness')

_EDGE = 2  # Pixels to either side of a region's edge.


class Regions(NamedTuple):
  """Crops ``images [n, s, s]`` float32, and ``masks [n, s, s]`` bool."""

  images: np.ndarray
  masks: np.ndarray


def extent(mask: np.ndarray) -> int:
  """Longer side of the box around a region, in pixels; 0 without one."""
  return max(np.ptp(at) + 1 if len(at) else 0 for at in np.nonzero(mask))


def usual_size(extents: np.ndarray) -> int:
  """The side of a crop that holds three regions in four, whole and closely."""
  return int(-(-np.percentile(extents, 75) // 8) * 8)


def crop(image: np.ndarray, mask: np.ndarray, size: int) -> np.ndarray:
  """The square about a region's centroid, moved to lie inside the image.

  Nothing is resampled. Where the image is smaller than the square, zeros are
  added below and to the right.

  Args:
    image: ``[h, w]`` or ``[h, w, c]``, or anything laid out alike.
    mask: ``[h, w]`` bool, not empty.
    size: Side in pixels.
  """
  starts = [
    max(0, min(round(where.mean()) - size // 2, extent - size))
    for where, extent in zip(np.nonzero(mask), mask.shape, strict=True)
  ]
  cut = image[tuple(slice(start, start + size) for start in starts)]
  missing = [(0, size - side) for side in cut.shape[:2]]
  return np.pad(cut, missing + [(0, 0)] * (cut.ndim - 2))


def cut_out(source: Source, size: int) -> Regions:
  """The regions of a greyscale source, every image of which has one."""
  images, masks = [], []
  for item in range(len(source)):
    mask = source.read_mask(item)
    images.append(crop(source.read(item)[:, :, 0], mask, size))
    masks.append(crop(mask, mask, size))
  return Regions(np.stack(images), np.stack(masks))


def describe(regions: Regions) -> np.ndarray:
  """Sharpness of each region's edge, and three statistics of its texture.

  * sharpness: mean gradient within two pixels of the edge, on either side;
  * spread: standard deviation inside;
  * gradient: mean gradient inside, away from the edge where there is such;
  * roughness: mean absolute Laplacian there.

  Returns:
    ``[n, 4]`` float32, in the order of :data:`STATISTICS`, in units of
    intensity per pixel, but the spread in units of intensity.
  """
  return np.asarray(_describe(regions.images, regions.masks))


@jax.jit
@jax.vmap
def _describe(image, mask):
  inner = depth_inside(mask, reach=_EDGE)
  outer = depth_inside(~mask, reach=_EDGE)
  edge = jnp.isfinite(jnp.where(mask, inner, outer))
  deep = jnp.isinf(inner)
  core = jnp.where(deep.any(), deep, mask)
  slope = gradient_magnitude(image)
  laplacian = sum(
    jnp.gradient(jnp.gradient(image, axis=axis), axis=axis) for axis in (0, 1)
  )
  mean = _mean(image, mask)
  return jnp.stack(
    [
      _mean(slope, edge),
      jnp.sqrt(_mean((image - mean) ** 2, mask)),
      _mean(slope, core),
      _mean(jnp.abs(laplacian), core),
    ]
  )


def _mean(values, where):
  return jnp.sum(jnp.where(where, values, 0.0)) / jnp.maximum(where.sum(), 1)
