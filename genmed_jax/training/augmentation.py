"""Augmentation of images and their masks, on the device."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates


class Augmentation(NamedTuple):
  """Largest changes of an image.

  Attributes:
    turn: In degrees, to either side.
    zoom: Relative, to either side.
    shift: In shares of the side, along either axis.
    flip: Whether left and right may change places.
    gain: Of intensities, relative.
    offset: Of intensities, in shares of their range.
    noise: Standard deviation, in shares of the range.
  """

  turn: float = 15.0
  zoom: float = 0.1
  shift: float = 0.05
  flip: bool = True
  gain: float = 0.1
  offset: float = 0.05
  noise: float = 0.0


def augment(keys, images, masks, how: Augmentation):
  """Draws a change for every image.

  Args:
    keys: ``[b]``.
    images: ``[b, h, w, c]`` in [-1, 1]; resampled bilinearly.
    masks: ``[b, h, w, k]`` bool; the same map, nearest pixels.
    how: What is drawn.

  Returns:
    Images and masks of the same shapes; what comes from outside is black.
  """
  return jax.vmap(lambda *one: _augment(*one, how))(keys, images, masks)


def _augment(key, image, masks, how):
  motion, light, grain = jax.random.split(key, 3)
  drawn = jax.random.uniform(motion, (5,), minval=-1.0)
  turn = jnp.deg2rad(how.turn) * drawn[0]
  zoom = 1 + how.zoom * drawn[1]
  mirror = jnp.where(how.flip & (drawn[4] > 0), -1.0, 1.0)
  height, width = image.shape[:2]
  rows, columns = jnp.indices((height, width), jnp.float32)
  y, x = rows - (height - 1) / 2, mirror * (columns - (width - 1) / 2)
  down = jnp.cos(turn) * y - jnp.sin(turn) * x
  across = jnp.sin(turn) * y + jnp.cos(turn) * x
  at = [
    (height - 1) / 2 + down / zoom + how.shift * height * drawn[2],
    (width - 1) / 2 + across / zoom + how.shift * width * drawn[3],
  ]

  def moved(channel, order, outside):
    return map_coordinates(channel, at, order=order, cval=outside)

  image = jnp.stack(
    [moved(image[..., c], 1, -1.0) for c in range(image.shape[-1])], axis=-1
  )
  masks = jnp.stack(
    [
      moved(masks[..., k].astype(jnp.float32), 0, 0.0) > 0.5
      for k in range(masks.shape[-1])
    ],
    axis=-1,
  )
  gain, offset, grit = jax.random.uniform(light, (3,), minval=-1.0)
  image = (image + 1) * (1 + how.gain * gain) - 1 + 2 * how.offset * offset
  image += 2 * how.noise * jnp.abs(grit) * jax.random.normal(grain, image.shape)
  return jnp.clip(image, -1.0, 1.0), masks
