"""U-Net: a mask per image, or whatever else has an image's shape."""

from typing import NamedTuple

from flax import nnx
import jax
import jax.numpy as jnp

from genmed_jax.errors import UsageError
from genmed_jax.networks.layers import depth_to_space, normalisation


class UNetConfig(NamedTuple):
  """Sizes of a U-Net.

  Attributes:
    channels: Of its input.
    outputs: Of its output.
    width: Channels at full resolution; twice as many at each half of it.
    depth: How many times resolution is halved.
    norm: One of ``layers.NORMS``.
    condition: Width of a vector that modulates every block; 0 for none.
  """

  channels: int = 1
  outputs: int = 1
  width: int = 16
  depth: int = 4
  norm: str = 'group'
  condition: int = 0


class UNetOutput(NamedTuple):
  """``logits [b, h, w, outputs]`` and ``bottleneck [b, width * 2**depth]``."""

  logits: jax.Array
  bottleneck: jax.Array


class _Block(nnx.Module):
  """Two convolutions, each normalised and rectified."""

  def __init__(self, inputs, outputs, config, *, rngs):
    conv = {'use_bias': False, 'rngs': rngs}
    self.conv1 = nnx.Conv(inputs, outputs, (3, 3), **conv)
    self.norm1 = normalisation(config.norm, outputs, rngs=rngs)
    self.conv2 = nnx.Conv(outputs, outputs, (3, 3), **conv)
    self.norm2 = normalisation(config.norm, outputs, rngs=rngs)
    if config.condition:
      shape = config.condition, 2 * outputs
      self.modulation = nnx.Param(nnx.initializers.zeros(rngs.params(), shape))

  def __call__(self, x, condition, *, train):
    x = self.norm1(self.conv1(x), train=train)
    if condition is not None:
      modulation = condition @ self.modulation[...]
      scale, shift = jnp.split(modulation[:, None, None], 2, axis=-1)
      x = x * (1 + scale) + shift
    return nnx.relu(self.norm2(self.conv2(nnx.relu(x)), train=train))


class Doubling(nnx.Module):
  """Four pixels of every one: a transposed convolution with stride 2.

  As one product and a reordering, whose gradient is ten times as fast on a CPU.
  """

  def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
    """Builds it with weights drawn from ``rngs``."""
    self.linear = nnx.Linear(inputs, 4 * outputs, rngs=rngs)

  def __call__(self, x: jax.Array) -> jax.Array:
    """``[b, h, w, inputs] -> [b, 2 h, 2 w, outputs]``."""
    return depth_to_space(self.linear(x), 2)


def _halve(x: jax.Array) -> jax.Array:
  """The largest of every 2 x 2 pixels; no window to scatter gradients over."""
  x = jnp.maximum(x[:, ::2], x[:, 1::2])
  return jnp.maximum(x[:, :, ::2], x[:, :, 1::2])


class UNet(nnx.Module):
  """Contracts and expands, with what was contracted beside it.

  References:
    Ronneberger et al., 2015, figure 1; here with padded convolutions, so that
    the output is as large as the input, and with normalisation.
  """

  def __init__(self, config: UNetConfig, *, rngs: nnx.Rngs):
    """Builds it with weights drawn from ``rngs``."""
    self.config = config
    widths = [config.width << level for level in range(config.depth + 1)]
    inputs = [config.channels, *widths]
    self.down = nnx.List(
      _Block(before, after, config, rngs=rngs)
      for before, after in zip(inputs, widths, strict=False)
    )
    self.grow = nnx.List(
      Doubling(2 * width, width, rngs=rngs) for width in widths[:-1]
    )
    self.up = nnx.List(
      _Block(2 * width, width, config, rngs=rngs) for width in widths[:-1]
    )
    self.head = nnx.Conv(config.width, config.outputs, (1, 1), rngs=rngs)

  def __call__(
    self, images: jax.Array, condition=None, *, train: bool = False
  ) -> UNetOutput:
    """Segments.

    Args:
      images: ``[b, h, w, channels]``, h and w multiples of ``2 ** depth``.
      condition: ``[b, condition]``, if the config has any.
      train: Whether batch norms see the batch.

    Raises:
      ValueError: if the image's sides cannot be halved as often.
    """
    step = 1 << self.config.depth
    if images.shape[1] % step or images.shape[2] % step:
      raise UsageError(
        f'a U-Net of depth {self.config.depth} takes sides that are multiples '
        f'of {step}, not {images.shape[1]} x {images.shape[2]}'
      )
    x, beside = images, []
    for level, block in enumerate(self.down):
      if level:
        x = _halve(x)
      x = block(x, condition, train=train)
      beside.append(x)
    bottleneck = beside.pop().mean((1, 2))
    for level in reversed(range(self.config.depth)):
      x = jnp.concatenate([beside[level], self.grow[level](x)], axis=-1)
      x = self.up[level](x, condition, train=train)
    return UNetOutput(self.head(x), bottleneck)
