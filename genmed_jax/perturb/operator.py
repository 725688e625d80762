"""Operators on one image as compiled operators on many."""

from collections.abc import Callable
import functools

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.errors import UsageError


def image_keys(key: jax.Array, numbers: np.ndarray) -> jax.Array:
  """A key per image, which depends on the image's number alone.

  Args:
    key: Of the set.
    numbers: ``[n]`` unsigned integers, each image's place in its set.
  """
  return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(numbers))


def on_images(*, static: tuple[str, ...] = ()) -> Callable:
  """Turns ``(key, image, ..., *, level)`` into one compiled map over images.

  The result takes one key for the set, or one per image from
  :func:`image_keys`, so that an image comes out the same whichever others are
  beside it. Keywords but ``static`` ones are traced: a new level compiles
  nothing.

  Args:
    static: Keywords that shapes depend on.
  """

  def wrap(operator: Callable) -> Callable:
    @functools.partial(jax.jit, static_argnames=static)
    def mapped(keys, *images, **options):
      one = lambda key, *image: operator(key, *image, **options)  # noqa: E731
      return jax.vmap(one)(keys, *images)

    @functools.wraps(operator)
    def checked(key, images, *masks, **options):
      _check(images, *masks)
      if key.ndim == 0:
        key = image_keys(key, np.arange(len(images), dtype=np.uint32))
      return mapped(key, images, *masks, **options)

    return checked

  return wrap


def _check(images, *masks) -> None:
  if images.ndim != 3 or images.dtype != np.float32:
    raise UsageError(
      f'images are [n, h, w] float32 in [0, 1], not {list(images.shape)} of '
      f'{images.dtype}'
    )
  for mask in masks:
    if mask.shape != images.shape or mask.dtype != bool:
      raise UsageError(
        f'masks are bool, one per image of {list(images.shape)}; this is '
        f'{list(mask.shape)} of {mask.dtype}'
      )
