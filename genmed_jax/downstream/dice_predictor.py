"""Prediction of the Dice of a mask, without the truth.

A network sees an image and a mask and gives the Dice that the mask would have
with the truth. It learns from the segmenter's masks and from degraded ones,
whose Dice is known.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genmed_jax import perturb
from genmed_jax.downstream.degradation import degrade_evenly
from genmed_jax.downstream.segmentation import dice
from genmed_jax.networks.resnet import ResNet, ResNetConfig
from genmed_jax.training.augmentation import augment, Augmentation
from genmed_jax.training.batches import as_input, batch_keys, OverRows
from genmed_jax.training.functional import Functional
from genmed_jax.training.loop import (
  adamw,
  descend,
  Optimised,
  start,
  TrainingPlan,
)

KIND = 'dice_predictor'

# Images come noisier to be scored than they are trained on.
_AUGMENTATION = Augmentation(gain=0.2, offset=0.1, noise=0.08)
_OWN = 0.5  # Share of examples that are the segmenter's masks as they are.
_BINS = 10  # Of the calibration curve.


class PredictorConfig(NamedTuple):
  """Sizes of a Dice predictor.

  Attributes:
    size: Side of the images it sees, in pixels.
    channels: Of the images, 1 or 3.
    layers: Of the ResNet, 18 or 50.
    width: Of the ResNet.
    norm: Of the ResNet.
    mask_input: ``channel``: the mask is a channel beside the image's;
      ``blend``: it is blended half and half into red, as EvanySeg has it.
  """

  size: int = 128
  channels: int = 1
  layers: int = 18
  width: int = 64
  norm: str = 'batch'
  mask_input: str = 'channel'


class Examples(NamedTuple):
  """Images and masks whose Dice is known.

  Attributes:
    images: ``[n, s, s, c]`` uint8.
    masks: ``[n, s, s]`` bool.
    dice: ``[n]``.
    whole: ``[n]`` bool, which masks are the segmenter's as they are.
  """

  images: np.ndarray
  masks: np.ndarray
  dice: np.ndarray
  whole: np.ndarray


def predictor(config: PredictorConfig) -> Functional:
  """The network, from :func:`join_mask` to ``ResNetOutput``."""
  channels = 3 if config.mask_input == 'blend' else config.channels + 1
  resnet = ResNetConfig(channels, 1, config.layers, config.width, config.norm)
  return Functional(lambda rngs: ResNet(resnet, rngs=rngs))


def join_mask(images, masks, mask_input: str):
  """Images ``[b, s, s, c]`` in [-1, 1] and masks ``[b, s, s]`` as one input."""
  masks = 2 * masks[..., None].astype(images.dtype) - 1
  if mask_input == 'channel':
    return jnp.concatenate([images, masks], axis=-1)
  red, *others = jnp.split(
    jnp.broadcast_to(images, (*images.shape[:3], 3)), 3, axis=-1
  )
  return jnp.concatenate([(red + masks) / 2, *others], axis=-1)


def examples(
  images, masks, found, numbers, *, copies: int, mesh: jax.sharding.Mesh
) -> Examples:
  """The segmenter's masks as they are, and degraded ones beside them.

  Args:
    images: ``[n, s, s, c]`` uint8.
    masks: ``[n, s, s]`` bool, the truth.
    found: ``[n, s, s]`` bool, the segmenter's.
    numbers: ``[n]`` uint32, of which the draws are made.
    copies: Degraded masks of each image; odd ones of the truth.
    mesh: The devices.
  """

  def worse_masks(copy, numbers, base, masks):
    keys = perturb.image_keys(jax.random.key(0), numbers)
    keys = jax.vmap(jax.random.fold_in, (0, None))(keys, copy)
    return degrade_evenly(keys, base, masks)

  degraded = OverRows(mesh, worse_masks)
  sets = [(found, np.asarray(dice(found, masks)))]
  for copy in range(copies):
    base = masks if copy % 2 else found
    sets.append(degraded(np.uint32(copy), numbers, base, masks))
  worse, scores = (np.concatenate(part) for part in zip(*sets, strict=True))
  return Examples(
    np.tile(images, (copies + 1, 1, 1, 1)),
    worse,
    scores,
    np.arange(len(worse)) < len(images),
  )


class PredictionLearner:
  """A predictor that learns the Dice of masks by cross entropy."""

  better = 'min'

  def __init__(
    self,
    config: PredictorConfig,
    plan: TrainingPlan,
    steps: int,
    validation: Examples,
    mesh: jax.sharding.Mesh,
  ):
    """Sets up the training; nothing is computed yet.

    Args:
      config: Of the network.
      plan: How it is trained.
      steps: In all epochs.
      validation: What scores it.
      mesh: The devices.
    """
    self.network = predictor(config)
    self._mask_input = config.mask_input
    self._optimiser = adamw(plan, steps)
    self._validation = validation
    self._predict = predicting(self.network, config, mesh)

  def init(self, seed: int) -> Optimised:
    """Fresh weights."""
    return start(self.network, self._optimiser, seed)

  def step(self, state: Optimised, batch: dict) -> tuple[Optimised, dict]:
    """One step on ``images``, their ``masks`` and the masks ``found``."""
    keys = jax.vmap(lambda key: jax.random.split(key, 3))(batch_keys(batch))
    both = jnp.stack([batch['masks'], batch['found']], axis=-1)
    images, both = augment(
      keys[:, 0], as_input(batch['images']), both, _AUGMENTATION
    )
    truth, found = both[..., 0], both[..., 1]
    draws = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys[:, 1])
    base = jnp.where((draws[:, 0] < 0.5)[:, None, None], truth, found)
    worse, scores = degrade_evenly(keys[:, 2], base, truth)
    own = draws[:, 1] < _OWN
    worse = jnp.where(own[:, None, None], found, worse)
    scores = jnp.where(own, dice(found, truth), scores)

    def loss(apply):
      inputs = join_mask(images, worse, self._mask_input)
      logits = apply(inputs).logits[:, 0]
      entropy = optax.sigmoid_binary_cross_entropy(logits, scores).mean()
      error = jnp.abs(jax.nn.sigmoid(logits) - scores).mean()
      return entropy, {'cross_entropy': entropy, 'absolute_error': error}

    return descend(self.network, self._optimiser, loss, state)

  def validate(self, state: Optimised) -> dict[str, float]:
    """Mean absolute error: of masks as it will judge, and of all there are.

    Scored by the sum: it judges the segmenter's own, which are alike, and is
    to fall for worse ones too.
    """
    known = self._validation
    guess = self._predict(state.weights, known.images, known.masks)
    errors = np.abs(guess - known.dice)
    own, of_all = float(errors[known.whole].mean()), float(errors.mean())
    return {'score': own + of_all, 'own_masks': own, 'all_masks': of_all}


def predicting(
  network: Functional, config: PredictorConfig, mesh: jax.sharding.Mesh
) -> OverRows:
  """``(weights, images uint8, masks)`` to predicted Dice ``[n]``."""

  def guess(weights, images, masks):
    return predicted_dice(network, config, weights, as_input(images), masks)

  return OverRows(mesh, guess)


def predicted_dice(
  network: Functional, config: PredictorConfig, weights, images, masks
):
  """Predicted Dice ``[b]`` of images in [-1, 1] and their masks."""
  inputs = join_mask(images, masks, config.mask_input)
  return jax.nn.sigmoid(network(weights, inputs).logits[:, 0])


def accuracy(guess: np.ndarray, known: Examples) -> dict:
  """Errors of predictions on held-out examples.

  Args:
    guess: Predicted Dice, ``[n]``.
    known: The examples.

  Returns:
    Of all masks and of the segmenter's own: mean absolute error, that of
    predicting the mean, Pearson's and Spearman's correlation (None where
    nothing varies) and mean of prediction less truth. Of all: a calibration
    curve, and the error that 95 % of the segmenter's own masks stay within,
    by split conformal prediction, as if masks of one subject were of many;
    None if they are fewer than 19.
  """
  report = {
    'all_masks': _agreement(guess, known.dice),
    'own_masks': _agreement(guess[known.whole], known.dice[known.whole]),
  }
  errors = np.sort(np.abs(guess - known.dice)[known.whole])
  rank = int(np.ceil(0.95 * (len(errors) + 1)))
  enough = rank <= len(errors)
  report['conformal_95'] = float(errors[rank - 1]) if enough else None
  bins = np.clip((guess * _BINS).astype(int), 0, _BINS - 1)
  report['calibration'] = [
    {
      'predicted': float(guess[bins == b].mean()),
      'true': float(known.dice[bins == b].mean()),
      'masks': int(np.sum(bins == b)),
    }
    for b in np.unique(bins)
  ]
  return report


def _agreement(guess: np.ndarray, truth: np.ndarray) -> dict:
  from scipy import stats

  varies = len(guess) > 1 and np.ptp(guess) > 0 and np.ptp(truth) > 0
  return {
    'masks': len(guess),
    'mean_absolute_error': float(np.abs(guess - truth).mean()),
    'error_of_the_mean': float(np.abs(truth - truth.mean()).mean()),
    'bias': float(np.mean(guess - truth)),
    'pearson': float(np.corrcoef(guess, truth)[0, 1]) if varies else None,
    'spearman': (
      float(stats.spearmanr(guess, truth).statistic) if varies else None
    ),
  }
