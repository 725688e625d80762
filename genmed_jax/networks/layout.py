"""Images as fewer pixels of more channels, and back."""

import jax


def space_to_depth(images: jax.Array, patch: int) -> jax.Array:
  """``[b, h, w, c] -> [b, h/patch, w/patch, patch * patch * c]``."""
  b, h, w, c = images.shape
  parts = images.reshape(b, h // patch, patch, w // patch, patch, c)
  return parts.transpose(0, 1, 3, 2, 4, 5).reshape(
    b, h // patch, w // patch, patch * patch * c
  )


def depth_to_space(images: jax.Array, patch: int) -> jax.Array:
  """The inverse of :func:`space_to_depth`."""
  b, h, w, c = images.shape
  parts = images.reshape(b, h, w, patch, patch, c // patch**2)
  return parts.transpose(0, 1, 3, 2, 4, 5).reshape(
    b, h * patch, w * patch, c // patch**2
  )
