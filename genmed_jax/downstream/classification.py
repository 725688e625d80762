"""The worth of synthetic images to a classifier: CheXGenBench's utility.

A classifier is trained on real images, on synthetic ones, or on both, and
always tested on real ones.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genmed_jax.downstream.labels import IGNORED
from genmed_jax.networks.resnet import ResNet, ResNetConfig
from genmed_jax.training.augmentation import augment, Augmentation
from genmed_jax.training.batches import as_input, batch_keys, OverRows
from genmed_jax.training.functional import Functional
from genmed_jax.training.loop import descend, Optimised, start, TrainingPlan

KIND = 'classifier'

# The side a radiograph shows is part of what it tells: no mirror.
_AUGMENTATION = Augmentation(turn=10.0, flip=False, gain=0.0, offset=0.0)


class ClassifierConfig(NamedTuple):
  """Sizes of a classifier.

  Attributes:
    size: Side of the images it sees, in pixels.
    channels: 1 for greyscale, 3 for colour.
    layers: Of the ResNet, 18 or 50.
    width: Of the ResNet.
    norm: Of the ResNet.
    classes: Names of what it tells.
  """

  size: int
  channels: int
  layers: int
  width: int
  norm: str
  classes: tuple[str, ...]


def chosen(
  setting: str, original: int, synthetic: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Places of the images of each kind that a setting trains on.

  ``all_original`` and ``all_synthetic`` take all of one kind, ``augmented``
  all of both; ``mixed`` takes half of each, so that there are as many as of
  one alone.

  Args:
    setting: One of ``config.SETTINGS``.
    original: How many real images there are.
    synthetic: How many synthetic ones.
    seed: Of the draw of halves.
  """
  parts = []
  for index, count in enumerate((original, synthetic)):
    items = np.arange(count)
    if setting == 'mixed':
      random = np.random.default_rng([seed, 5, index])
      items = np.sort(random.choice(count, count // 2, replace=False))
    parts.append(items)
  if setting == 'all_original':
    parts[1] = parts[1][:0]
  if setting == 'all_synthetic':
    parts[0] = parts[0][:0]
  return parts[0], parts[1]


def classifier(config: ClassifierConfig) -> Functional:
  """The network, images in [-1, 1] to ``ResNetOutput``."""
  resnet = ResNetConfig(
    config.channels,
    len(config.classes),
    config.layers,
    config.width,
    config.norm,
  )
  return Functional(lambda rngs: ResNet(resnet, rngs=rngs))


def multi_label_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Mean binary cross entropy over the labels that count, per image ``[b]``."""
  counted = labels != IGNORED
  entropy = optax.sigmoid_binary_cross_entropy(logits, labels == 1)
  total = jnp.sum(jnp.where(counted, entropy, 0.0), axis=-1)
  return total / jnp.maximum(counted.sum(-1), 1)


class ClassificationLearner:
  """A classifier that learns by cross entropy and Adam at a constant rate."""

  better = 'min'

  def __init__(
    self,
    config: ClassifierConfig,
    plan: TrainingPlan,
    validation: tuple[np.ndarray, np.ndarray],
    mesh: jax.sharding.Mesh,
  ):
    """Sets up the training; nothing is computed yet.

    Args:
      config: Of the network.
      plan: How it is trained; weight decay is added to the gradient, as
        torch's Adam has it.
      validation: Images ``[n, s, s, c]`` uint8 and labels ``[n, k]``.
      mesh: The devices.
    """
    self.network = classifier(config)
    self._optimiser = optax.chain(
      optax.add_decayed_weights(plan.weight_decay),
      optax.adam(plan.learning_rate),
    )
    self._validation = validation
    self.logits = OverRows(
      mesh,
      lambda weights, images: self.network(weights, as_input(images)).logits,
    )

  def init(self, seed: int) -> Optimised:
    """Fresh weights."""
    return start(self.network, self._optimiser, seed)

  def step(self, state: Optimised, batch: dict) -> tuple[Optimised, dict]:
    """One step on ``images`` and ``labels``."""
    images = as_input(batch['images'])
    nothing = jnp.zeros((*images.shape[:3], 1), bool)
    images, _ = augment(batch_keys(batch), images, nothing, _AUGMENTATION)

    def loss(apply):
      logits = apply(images).logits
      value = multi_label_loss(logits, batch['labels']).mean()
      return value, {'cross_entropy': value}

    return descend(self.network, self._optimiser, loss, state)

  def validate(self, state: Optimised) -> dict[str, float]:
    """Mean cross entropy of the validation images."""
    images, labels = self._validation
    logits = self.logits(state.weights, images)
    return {'score': float(multi_label_loss(logits, labels).mean())}
