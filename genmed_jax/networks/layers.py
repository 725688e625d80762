"""Layers that several networks share."""

from flax import nnx
import jax
import jax.numpy as jnp

from genmed_jax.engine.mesh import DATA_AXIS
from genmed_jax.errors import UsageError

NORMS = ('group', 'instance', 'batch')

_GROUPS = 8
_EPSILON = 1e-6


class _NoKeys:
  """Instead of ``nnx.Rngs``, where no weight is drawn."""

  @staticmethod
  def params() -> None:
    """No key."""


def _blank(key, shape, dtype) -> jax.ShapeDtypeStruct:
  del key
  return jax.ShapeDtypeStruct(shape, dtype)


# For layers whose leaves are shapes until they are filled: initial values of
# a deep network that nobody uses take seconds to trace.
BLANK = {'kernel_init': _blank, 'rngs': _NoKeys()}


class _GroupNorm(nnx.Module):
  """Over groups of an image's channels: no batch, no state.

  Sums over pixels keep all channels side by side and groups are made of what
  is left, ``[b, c]``: sums over groups of pixels take five times as long on a
  CPU.
  """

  def __init__(self, channels: int, groups: int, *, rngs: nnx.Rngs):
    self.groups = groups
    self.scale = nnx.Param(nnx.initializers.ones(rngs.params(), (channels,)))
    self.bias = nnx.Param(nnx.initializers.zeros(rngs.params(), (channels,)))

  def __call__(self, x, *, train: bool = False):
    """``[b, h, w, c] -> [b, h, w, c]``."""
    del train

    def of_groups(means):
      grouped = means.reshape(len(x), self.groups, -1).mean(-1)
      return jnp.repeat(grouped, x.shape[-1] // self.groups, axis=-1)

    mean = of_groups(x.mean((1, 2)))
    variance = of_groups(jnp.square(x).mean((1, 2))) - jnp.square(mean)
    gain = jax.lax.rsqrt(jnp.maximum(variance, 0) + _EPSILON) * self.scale
    return x * gain[:, None, None] + (self.bias - mean * gain)[:, None, None]


class _BatchNorm(nnx.BatchNorm):
  """Over the batch of all devices; running means where it is not trained."""

  def __call__(self, x, *, train: bool = False):
    """``[b, ..., c] -> [b, ..., c]``; training runs over the mesh's axis."""
    return super().__call__(x, use_running_average=not train)


def normalisation(kind: str, channels: int, *, rngs: nnx.Rngs) -> nnx.Module:
  """The layer that ``kind``, one of :data:`NORMS`, names.

  Raises:
    UsageError: if there is no such kind, or the channels make no groups.
  """
  if kind == 'batch':
    return _BatchNorm(channels, axis_name=DATA_AXIS, momentum=0.9, rngs=rngs)
  groups = {'group': min(_GROUPS, channels), 'instance': channels}
  if kind not in groups:
    raise UsageError(f'`norm` is one of {", ".join(NORMS)}, not {kind!r}')
  if channels % groups[kind]:
    raise UsageError(
      f"`norm='group'` takes a `width` that is a multiple of {_GROUPS}, or "
      f'smaller, not one that makes {channels} channels'
    )
  return _GroupNorm(channels, groups[kind], rngs=rngs)


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
