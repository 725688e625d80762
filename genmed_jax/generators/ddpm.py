"""Denoising diffusion: a U-Net that tells image from noise."""

from typing import Any, NamedTuple

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax import perturb
from genmed_jax.errors import UsageError
from genmed_jax.generators.base import GeneratorFamily
from genmed_jax.networks.layers import depth_to_space, space_to_depth
from genmed_jax.networks.unet import UNet, UNetConfig
from genmed_jax.training.batches import as_input, batch_keys, OverRows
from genmed_jax.training.functional import Functional, Weights
from genmed_jax.training.loop import (
  adamw,
  descend,
  Optimised,
  start,
  TrainingPlan,
)

_PATCH = 2  # Pixels of a side that are one to the network.
_CONDITION = 128
_STEPS = 50  # Of sampling.
_AVERAGED = 0.995  # Of the weights that are kept, per step.
_OFFSET = 0.008  # Of the schedule, so that the first steps add some noise.


class DDPMConfig(NamedTuple):
  """Sizes of a diffusion model: its images and its U-Net."""

  size: int
  channels: int
  width: int
  depth: int


class _Denoiser(nnx.Module):
  """Velocity of noisy images at a time, predicted by a U-Net."""

  def __init__(self, config: DDPMConfig, *, rngs: nnx.Rngs):
    pixels = _PATCH**2 * config.channels
    unet = UNetConfig(
      pixels, pixels, config.width, config.depth, 'group', _CONDITION
    )
    self.embed = nnx.Linear(_CONDITION, _CONDITION, rngs=rngs)
    self.unet = UNet(unet, rngs=rngs)

  def __call__(self, images, time, *, train=False):
    """``[b, s, s, c]`` and ``time [b]`` in [0, 1] to velocities."""
    rates = jnp.geomspace(1.0, 1000.0, _CONDITION // 2)
    angles = time[:, None] * rates
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=1)
    condition = nnx.relu(self.embed(waves))
    patches = space_to_depth(images, _PATCH)
    found = self.unet(patches, condition, train=train).logits
    return depth_to_space(found, _PATCH)


class _State(NamedTuple):
  """Optimised weights, and their running average, which samples."""

  trained: Optimised
  averaged: Any
  steps: jax.Array


def network(config: DDPMConfig) -> Functional:
  """The denoiser.

  Raises:
    UsageError: if its U-Net cannot halve the sides of the images so often.
  """
  if config.size % (step := _PATCH << config.depth):
    raise UsageError(
      f'`image_size={config.size}`: a diffusion model of `depth='
      f'{config.depth}` takes multiples of {step}'
    )
  return Functional(lambda rngs: _Denoiser(config, rngs=rngs))


def signal_and_noise(time: jax.Array) -> tuple[jax.Array, jax.Array]:
  r"""Shares of image and noise at a time in [0, 1]; their squares sum to 1.

  .. math:: \cos^2\Bigl(\frac\pi2 \frac{t + s}{1 + s}\Bigr), \quad s = 0.008

  is the share of the image's variance.

  References:
    Nichol and Dhariwal, 2021, eq. 17.
  """
  angle = jnp.pi / 2 * (time + _OFFSET) / (1 + _OFFSET)
  return jnp.cos(angle), jnp.sin(angle)


class DDPMLearner:
  r"""Learns how noisy images move, :math:`v = \alpha\epsilon - \sigma x`.

  Of what is almost all noise that is the image, of what is almost clean the
  noise: neither is divided by what vanishes.

  References:
    Ho et al., 2020, eq. 14; Salimans and Ho, 2022, section 4.
  """

  better = 'min'

  def __init__(
    self, config: DDPMConfig, plan: TrainingPlan, steps, validation, mesh
  ):
    """Sets up the training.

    Args:
      config: Of the network.
      plan: How it is trained.
      steps: In all epochs.
      validation: Images ``[n, s, s, c]`` uint8.
      mesh: The devices.
    """
    self.network = network(config)
    self._optimiser = adamw(plan, steps)
    self._validation = validation
    self._losses = OverRows(mesh, self._loss_of)

  def _loss_of(self, weights, images, numbers):
    return self._loss(
      lambda *noisy: self.network(weights, *noisy),
      perturb.image_keys(jax.random.key(0), numbers),
      as_input(images),
    )

  def _loss(self, apply, keys, images):
    """Mean square error of the velocity of each image, ``[b]``."""

    def drawn(key, image):
      when, what = jax.random.split(key)
      return jax.random.uniform(when), jax.random.normal(what, image.shape)

    time, noise = jax.vmap(drawn)(keys, images)
    signal, share = (
      each[:, None, None, None] for each in signal_and_noise(time)
    )
    found = apply(signal * images + share * noise, time)
    velocity = signal * noise - share * images
    return jnp.mean((found - velocity) ** 2, axis=(1, 2, 3))

  def init(self, seed: int) -> _State:
    """Fresh weights."""
    trained = start(self.network, self._optimiser, seed)
    return _State(trained, trained.weights.params, jnp.zeros((), jnp.int32))

  def step(self, state: _State, batch: dict) -> tuple[_State, dict]:
    """One step on ``images``."""
    images, keys = as_input(batch['images']), batch_keys(batch)

    def loss(apply):
      value = self._loss(apply, keys, images).mean()
      return value, {'velocity_error': value}

    trained, losses = descend(
      self.network, self._optimiser, loss, state.trained
    )
    # Early on, what the first weights were is forgotten faster.
    kept = jnp.minimum(_AVERAGED, (1 + state.steps) / (10 + state.steps))
    averaged = jax.tree.map(
      lambda old, new: kept * old + (1 - kept) * new,
      state.averaged,
      trained.weights.params,
    )
    return _State(trained, averaged, state.steps + 1), losses

  def validate(self, state: _State) -> dict[str, float]:
    """Mean square error of the velocity of validation images."""
    numbers = np.arange(len(self._validation), dtype=np.uint32)
    losses = self._losses(self.sampled(state), self._validation, numbers)
    return {'score': float(losses.mean())}

  def sampled(self, state: _State) -> Weights:
    """The weights that sample."""
    return Weights(state.averaged, state.trained.weights.stats)


def sample(config: DDPMConfig, weights: Weights, key: jax.Array) -> jax.Array:
  """One image ``[s, s, c]`` in [-1, 1], from noise in 50 steps.

  References:
    Song et al., 2021 (DDIM), eq. 12 with sigma 0.
  """
  denoise = network(config)
  shape = 1, config.size, config.size, config.channels

  def step(i, found):
    noisy, _ = found
    times = 1 - jnp.array([i, i + 1]) / _STEPS
    signal, share = signal_and_noise(times)
    velocity = denoise(weights, noisy, times[:1])
    image = jnp.clip(signal[0] * noisy - share[0] * velocity, -1.0, 1.0)
    noise = (noisy - signal[0] * image) / share[0]
    return signal[1] * image + share[1] * noise, image

  noise = jax.random.normal(key, shape)
  # The image of the last step: at time 0 some noise would still be on it.
  _, image = jax.lax.fori_loop(0, _STEPS, step, (noise, noise))
  return image[0]


FAMILY = GeneratorFamily(
  name='ddpm',
  config=DDPMConfig,
  learner=DDPMLearner,
  sample=sample,
  defaults={'width': 32, 'depth': 3, 'epochs': 60, 'learning_rate': 1e-3},
)
