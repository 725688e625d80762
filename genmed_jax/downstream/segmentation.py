"""Segmentation of a region: training, masks and how good they are."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genmed_jax.errors import UsageError
from genmed_jax.networks.unet import UNet, UNetConfig
from genmed_jax.training.augmentation import augment, Augmentation
from genmed_jax.training.batches import as_input, batch_keys, OverRows, Pictures
from genmed_jax.training.functional import Functional
from genmed_jax.training.loop import (
  adamw,
  descend,
  Optimised,
  start,
  TrainingPlan,
)

KIND = 'segmenter'


class SegmenterConfig(NamedTuple):
  """Sizes of a segmenter.

  Attributes:
    size: Side of the images it sees, in pixels.
    channels: 1 for greyscale, 3 for colour.
    width: Of the U-Net.
    depth: Of the U-Net.
    norm: Of the U-Net.
  """

  size: int = 128
  channels: int = 1
  width: int = 16
  depth: int = 4
  norm: str = 'group'


def segmenter(config: SegmenterConfig) -> Functional:
  """The network, ``[b, size, size, channels]`` in [-1, 1] to ``UNetOutput``."""
  if 1 << config.depth > config.size:
    raise UsageError(
      f'`depth={config.depth}`: images of {config.size} pixels are halved '
      f'{config.size.bit_length() - 1} times at most'
    )
  unet = UNetConfig(config.channels, 1, config.width, config.depth, config.norm)
  return Functional(lambda rngs: UNet(unet, rngs=rngs))


def dice(one: jax.Array, other: jax.Array) -> jax.Array:
  r"""Dice coefficient of masks, :math:`2 |A \cap B| / (|A| + |B|)`.

  Args:
    one: ``[..., h, w]`` bool.
    other: ``[..., h, w]`` bool.

  Returns:
    ``[...]`` float32 in [0, 1]; 1 for two empty masks: nothing was there, and
    nothing was found.
  """
  sizes = one.sum((-2, -1)) + other.sum((-2, -1))
  shared = (one & other).sum((-2, -1))
  return jnp.where(sizes == 0, 1.0, 2 * shared / jnp.maximum(sizes, 1))


def dice_loss(logits: jax.Array, masks: jax.Array) -> jax.Array:
  """1 less the Dice of probabilities, smoothed by a pixel, ``[...]``."""
  soft = jax.nn.sigmoid(logits)
  shared = (soft * masks).sum((-2, -1))
  sizes = soft.sum((-2, -1)) + masks.sum((-2, -1))
  return 1 - (2 * shared + 1) / (sizes + 1)


class SegmentationLearner:
  """A segmenter that learns masks by Dice and cross entropy together."""

  better = 'max'

  def __init__(
    self,
    config: SegmenterConfig,
    plan: TrainingPlan,
    steps: int,
    validation: Pictures,
    mesh: jax.sharding.Mesh,
  ):
    """Sets up the training; nothing is computed yet.

    Args:
      config: Of the network.
      plan: How it is trained.
      steps: In all epochs.
      validation: Images with masks that score it.
      mesh: The devices.
    """
    self.network = segmenter(config)
    self._optimiser = adamw(plan, steps)
    self._validation = validation
    self._segment = segmenting(self.network, mesh)

  def init(self, seed: int) -> Optimised:
    """Fresh weights."""
    return start(self.network, self._optimiser, seed)

  def step(self, state: Optimised, batch: dict) -> tuple[Optimised, dict]:
    """One step on ``images`` and ``masks``."""
    images, masks = augment(
      batch_keys(batch),
      as_input(batch['images']),
      batch['masks'][..., None],
      Augmentation(),
    )
    masks = masks[..., 0].astype(jnp.float32)

    def loss(apply):
      logits = apply(images).logits[..., 0]
      overlap = dice_loss(logits, masks).mean()
      entropy = optax.sigmoid_binary_cross_entropy(logits, masks).mean()
      return overlap + entropy, {'dice_loss': overlap, 'cross_entropy': entropy}

    return descend(self.network, self._optimiser, loss, state)

  def validate(self, state: Optimised) -> dict[str, float]:
    """Mean Dice of the validation images."""
    found = self._segment(state.weights, self._validation.images)
    score = np.asarray(dice(found, self._validation.masks)).mean()
    return {'score': float(score)}


def segmenting(network: Functional, mesh: jax.sharding.Mesh) -> OverRows:
  """``(weights, images [n, s, s, c] uint8)`` to masks ``[n, s, s]`` bool."""

  def masks(weights, images):
    return network(weights, as_input(images)).logits[..., 0] > 0

  return OverRows(mesh, masks)
