"""Normalisation layers of networks that are trained, behind one call."""

from flax import nnx

from genmed_jax.mesh import DATA_AXIS

NORMS = ('group', 'instance', 'batch')

_GROUPS = 8


class _GroupNorm(nnx.GroupNorm):
  """Over groups of an image's channels: no batch, no state."""

  def __call__(self, x, *, train: bool):
    """``[b, ..., c] -> [b, ..., c]``."""
    del train
    return super().__call__(x)


class _BatchNorm(nnx.BatchNorm):
  """Over the batch of all devices; running means where it is not trained."""

  def __call__(self, x, *, train: bool):
    """``[b, ..., c] -> [b, ..., c]``; training runs over the mesh's axis."""
    return super().__call__(x, use_running_average=not train)


def normalisation(kind: str, channels: int, *, rngs: nnx.Rngs) -> nnx.Module:
  """The layer that ``kind``, one of :data:`NORMS`, names.

  Raises:
    ValueError: if there is no such kind.
  """
  if kind == 'batch':
    return _BatchNorm(channels, axis_name=DATA_AXIS, momentum=0.9, rngs=rngs)
  groups = {'group': min(_GROUPS, channels), 'instance': channels}
  if kind not in groups:
    raise ValueError(f'norm is one of {", ".join(NORMS)}, not {kind!r}')
  return _GroupNorm(channels, num_groups=groups[kind], rngs=rngs)
