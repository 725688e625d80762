"""The layers of InceptionV3, as the Fréchet Inception Distance defines it.

The TensorFlow graph of 2015-12-05, not torchvision's network: average pools
do not count padding, the last block pools by maximum, the classifier has 1008
outputs. Batch norm is folded into the convolutions. One pass gives any of the
taps, and a network is built only as deep as its deepest tap.
"""

import functools

from flax import nnx
import jax
import jax.numpy as jnp

from genmed_jax.networks.inception_taps import SPATIAL_CHANNELS, TAPS
from genmed_jax.networks.layers import BLANK

_PLAIN = {'use_bias': False, **BLANK}


class ConvReLU(nnx.Conv):
  """Convolution with the folded batch norm's bias, then ReLU; NHWC."""

  def __init__(self, inputs, outputs, kernel, *, dtype, **kwargs):
    """Builds it; ``kwargs`` are ``strides`` and ``padding``."""
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    super().__init__(
      inputs,
      outputs,
      kernel,
      **{'padding': 'SAME', **kwargs},
      dtype=dtype,
      **BLANK,
      bias_init=BLANK['kernel_init'],
    )

  def __call__(self, x):
    """``[b, h, w, inputs] -> [b, h', w', outputs]``."""
    return nnx.relu(super().__call__(x))


class MixedA(nnx.Module):
  """35 x 35 block."""

  def __init__(self, inputs, pool, conv):
    """Builds it with ``pool`` channels after the average pool."""
    self.branch1x1 = conv(inputs, 64, 1)
    self.branch5x5_1 = conv(inputs, 48, 1)
    self.branch5x5_2 = conv(48, 64, 5)
    self.branch3x3dbl_1 = conv(inputs, 64, 1)
    self.branch3x3dbl_2 = conv(64, 96, 3)
    self.branch3x3dbl_3 = conv(96, 96, 3)
    self.branch_pool = conv(inputs, pool, 1)

  def __call__(self, x):
    """``[b, 35, 35, inputs] -> [b, 35, 35, 224 + pool]``."""
    double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
    branches = [
      self.branch1x1(x),
      self.branch5x5_2(self.branch5x5_1(x)),
      self.branch3x3dbl_3(double),
      self.branch_pool(_average_pool(x)),
    ]
    return jnp.concatenate(branches, axis=-1)


class MixedB(nnx.Module):
  """35 x 35 to 17 x 17."""

  def __init__(self, inputs, conv):
    """Builds it."""
    self.branch3x3 = conv(inputs, 384, 3, strides=2, padding='VALID')
    self.branch3x3dbl_1 = conv(inputs, 64, 1)
    self.branch3x3dbl_2 = conv(64, 96, 3)
    self.branch3x3dbl_3 = conv(96, 96, 3, strides=2, padding='VALID')

  def __call__(self, x):
    """``[b, 35, 35, inputs] -> [b, 17, 17, 480 + inputs]``."""
    double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
    branches = [self.branch3x3(x), self.branch3x3dbl_3(double), _max_pool(x)]
    return jnp.concatenate(branches, axis=-1)


class MixedC(nnx.Module):
  """17 x 17 block of 1 x 7 and 7 x 1 convolutions."""

  def __init__(self, inputs, width, conv):
    """Builds it with ``width`` channels inside the 7 x 7 branches."""
    self.branch1x1 = conv(inputs, 192, 1)
    self.branch7x7_1 = conv(inputs, width, 1)
    self.branch7x7_2 = conv(width, width, (1, 7))
    self.branch7x7_3 = conv(width, 192, (7, 1))
    self.branch7x7dbl_1 = conv(inputs, width, 1)
    self.branch7x7dbl_2 = conv(width, width, (7, 1))
    self.branch7x7dbl_3 = conv(width, width, (1, 7))
    self.branch7x7dbl_4 = conv(width, width, (7, 1))
    self.branch7x7dbl_5 = conv(width, 192, (1, 7))
    self.branch_pool = conv(inputs, 192, 1)

  def __call__(self, x):
    """``[b, 17, 17, inputs] -> [b, 17, 17, 768]``."""
    single = self.branch7x7_2(self.branch7x7_1(x))
    double = self.branch7x7dbl_2(self.branch7x7dbl_1(x))
    double = self.branch7x7dbl_4(self.branch7x7dbl_3(double))
    branches = [
      self.branch1x1(x),
      self.branch7x7_3(single),
      self.branch7x7dbl_5(double),
      self.branch_pool(_average_pool(x)),
    ]
    return jnp.concatenate(branches, axis=-1)


class MixedD(nnx.Module):
  """17 x 17 to 8 x 8."""

  def __init__(self, inputs, conv):
    """Builds it."""
    self.branch3x3_1 = conv(inputs, 192, 1)
    self.branch3x3_2 = conv(192, 320, 3, strides=2, padding='VALID')
    self.branch7x7x3_1 = conv(inputs, 192, 1)
    self.branch7x7x3_2 = conv(192, 192, (1, 7))
    self.branch7x7x3_3 = conv(192, 192, (7, 1))
    self.branch7x7x3_4 = conv(192, 192, 3, strides=2, padding='VALID')

  def __call__(self, x):
    """``[b, 17, 17, inputs] -> [b, 8, 8, 512 + inputs]``."""
    seven = self.branch7x7x3_2(self.branch7x7x3_1(x))
    branches = [
      self.branch3x3_2(self.branch3x3_1(x)),
      self.branch7x7x3_4(self.branch7x7x3_3(seven)),
      _max_pool(x),
    ]
    return jnp.concatenate(branches, axis=-1)


class MixedE(nnx.Module):
  """8 x 8 block; the last one pools by maximum."""

  def __init__(self, inputs, pool, conv):
    """Builds it; ``pool`` is the pooling in front of the last branch."""
    self.pool = pool
    self.branch1x1 = conv(inputs, 320, 1)
    self.branch3x3_1 = conv(inputs, 384, 1)
    self.branch3x3_2a = conv(384, 384, (1, 3))
    self.branch3x3_2b = conv(384, 384, (3, 1))
    self.branch3x3dbl_1 = conv(inputs, 448, 1)
    self.branch3x3dbl_2 = conv(448, 384, 3)
    self.branch3x3dbl_3a = conv(384, 384, (1, 3))
    self.branch3x3dbl_3b = conv(384, 384, (3, 1))
    self.branch_pool = conv(inputs, 192, 1)

  def __call__(self, x):
    """``[b, 8, 8, inputs] -> [b, 8, 8, 2048]``."""
    single = self.branch3x3_1(x)
    double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
    branches = [
      self.branch1x1(x),
      self.branch3x3_2a(single),
      self.branch3x3_2b(single),
      self.branch3x3dbl_3a(double),
      self.branch3x3dbl_3b(double),
      self.branch_pool(self.pool(x)),
    ]
    return jnp.concatenate(branches, axis=-1)


def _max_pool(x):
  return nnx.max_pool(x, (3, 3), (2, 2))


def _average_pool(x):
  return nnx.avg_pool(x, (3, 3), (1, 1), 'SAME', count_include_pad=False)


def _max_pool_same(x):
  return nnx.max_pool(x, (3, 3), (1, 1), 'SAME')


def _stages(conv) -> dict:
  """Builders of the stages, in order, under their upstream names."""
  valid = {'padding': 'VALID'}
  return {
    'conv2d_1a_3x3': lambda: conv(3, 32, 3, strides=2, **valid),
    'conv2d_2a_3x3': lambda: conv(32, 32, 3, **valid),
    'conv2d_2b_3x3': lambda: conv(32, 64, 3),
    'maxpool_1': lambda: _max_pool,
    'conv2d_3b_1x1': lambda: conv(64, 80, 1),
    'conv2d_4a_3x3': lambda: conv(80, 192, 3, **valid),
    'maxpool_2': lambda: _max_pool,
    'mixed_5b': lambda: MixedA(192, 32, conv),
    'mixed_5c': lambda: MixedA(256, 64, conv),
    'mixed_5d': lambda: MixedA(288, 64, conv),
    'mixed_6a': lambda: MixedB(288, conv),
    'mixed_6b': lambda: MixedC(768, 128, conv),
    'mixed_6c': lambda: MixedC(768, 160, conv),
    'mixed_6d': lambda: MixedC(768, 160, conv),
    'mixed_6e': lambda: MixedC(768, 192, conv),
    'mixed_7a': lambda: MixedD(768, conv),
    'mixed_7b': lambda: MixedE(1280, _average_pool, conv),
    'mixed_7c': lambda: MixedE(2048, _max_pool_same, conv),
  }


class InceptionV3(nnx.Module):
  """The network up to its deepest tap."""

  def __init__(self, taps, *, dtype=jnp.float32):
    """Builds the stages that ``taps`` need, with shapes instead of weights.

    Args:
      taps: Names from ``inception_taps.TAPS``.
      dtype: What convolutions compute in.
    """
    self.taps = tuple(taps)
    conv = functools.partial(ConvReLU, dtype=dtype)
    builders = _stages(conv)
    order = [*builders, 'fc']
    last = max(order.index(TAPS[tap]) for tap in taps)
    self.stages = tuple(order[: last + 1])
    for name in self.stages:
      if name in builders:
        setattr(self, name, builders[name]())
    if 'spatial' in taps:
      self.spatial = nnx.Conv(
        768, SPATIAL_CHANNELS, (1, 1), dtype=dtype, **_PLAIN
      )
    if 'logits' in taps:
      self.fc = nnx.Linear(2048, 1008, **_PLAIN)

  def __call__(self, images: jax.Array) -> dict[str, jax.Array]:
    """Features at every tap.

    Args:
      images: ``[b, 299, 299, 3]`` in [-1, 1].

    Returns:
      Tap to ``[b, d]`` float32: spatial means of the activations; for
      ``spatial``, the first seven channels of mixed_6d's 1 x 1 branch before
      its batch norm, flattened to 2023; for ``logits``, the 1008 class scores
      without bias.
    """
    x, features = images, {}
    for name in self.stages:
      if name == 'mixed_6d' and 'spatial' in self.taps:
        features['spatial'] = self.spatial(x).reshape(x.shape[0], -1)
      x = x.mean((1, 2), jnp.float32) if name == 'fc' else x
      x = getattr(self, name)(x)
      for tap in set(self.taps) - set(features):
        if TAPS[tap] == name:
          features[tap] = x if name == 'fc' else x.mean((1, 2), jnp.float32)
    return {tap: features[tap].astype(jnp.float32) for tap in self.taps}
