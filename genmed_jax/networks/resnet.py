"""Residual networks of 18 and 50 layers."""

from typing import NamedTuple

from flax import nnx
import jax

from genmed_jax.errors import UsageError
from genmed_jax.networks.layers import normalisation

# Layers in all -> blocks of each stage, and how a block widens its output.
DEPTHS = {18: ((2, 2, 2, 2), 1), 50: ((3, 4, 6, 3), 4)}


class ResNetConfig(NamedTuple):
  """Sizes of a residual network.

  Attributes:
    channels: Of its input.
    outputs: Numbers it gives.
    layers: A key of :data:`DEPTHS`.
    width: Channels of the first stage, 64 in the literature.
    norm: One of ``layers.NORMS``.
  """

  channels: int = 3
  outputs: int = 1
  layers: int = 18
  width: int = 64
  norm: str = 'batch'


class ResNetOutput(NamedTuple):
  """``logits [b, outputs]`` and what they are made of, ``features [b, d]``."""

  logits: jax.Array
  features: jax.Array


class _Block(nnx.Module):
  """A residual block: two convolutions, or a bottleneck of three.

  The stride is in the 3 x 3 convolution, as torchvision has it.
  """

  def __init__(self, inputs, width, widening, stride, norm, *, rngs):
    outputs = width * widening
    shapes = [(inputs, width, 3, stride), (width, width, 3, 1)]
    if widening > 1:
      shapes = [
        (inputs, width, 1, 1),
        (width, width, 3, stride),
        (width, outputs, 1, 1),
      ]
    self.convs = nnx.List(
      _conv(a, b, kernel, step, rngs) for a, b, kernel, step in shapes
    )
    self.norms = nnx.List(
      normalisation(norm, shape[1], rngs=rngs) for shape in shapes
    )
    self.projects = stride > 1 or inputs != outputs
    if self.projects:
      self.shortcut = _conv(inputs, outputs, 1, stride, rngs)
      self.shortcut_norm = normalisation(norm, outputs, rngs=rngs)

  def __call__(self, x, *, train):
    kept = x
    if self.projects:
      kept = self.shortcut_norm(self.shortcut(x), train=train)
    for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
      x = norm(conv(nnx.relu(x) if i else x), train=train)
    return nnx.relu(kept + x)


def _conv(inputs, outputs, kernel, stride, rngs):
  return nnx.Conv(
    inputs,
    outputs,
    (kernel, kernel),
    stride,
    padding=kernel // 2,
    use_bias=False,
    rngs=rngs,
  )


class ResNet(nnx.Module):
  """ResNet with the stride of a bottleneck in its middle convolution.

  References:
    He et al., 2016, table 1; torchvision's variant of it.
  """

  def __init__(self, config: ResNetConfig, *, rngs: nnx.Rngs):
    """Builds it with weights drawn from ``rngs``.

    Raises:
      ValueError: if there is no network of so many layers.
    """
    if config.layers not in DEPTHS:
      raise UsageError(
        f'a ResNet has {" or ".join(map(str, DEPTHS))} layers, not '
        f'{config.layers}'
      )
    counts, widening = DEPTHS[config.layers]
    self.stem = _conv(config.channels, config.width, 7, 2, rngs)
    self.stem_norm = normalisation(config.norm, config.width, rngs=rngs)
    blocks, inputs = [], config.width
    for stage, count in enumerate(counts):
      width = config.width << stage
      for block in range(count):
        stride = 2 if stage and block == 0 else 1
        blocks.append(
          _Block(inputs, width, widening, stride, config.norm, rngs=rngs)
        )
        inputs = width * widening
    self.blocks = nnx.List(blocks)
    self.head = nnx.Linear(inputs, config.outputs, rngs=rngs)

  def __call__(self, images: jax.Array, *, train: bool = False) -> ResNetOutput:
    """``[b, h, w, channels]`` to :class:`ResNetOutput`."""
    x = nnx.relu(self.stem_norm(self.stem(images), train=train))
    x = nnx.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
    for block in self.blocks:
      x = block(x, train=train)
    features = x.mean((1, 2))
    return ResNetOutput(self.head(features), features)
