"""Wasserstein GAN with a gradient penalty."""

from collections.abc import Callable
from typing import NamedTuple

from flax import nnx
import jax
import jax.numpy as jnp
import optax

from genmed_jax.errors import UsageError
from genmed_jax.generators.base import GeneratorFamily
from genmed_jax.networks.layers import normalisation
from genmed_jax.training.batches import as_input, batch_keys
from genmed_jax.training.functional import Functional, Weights
from genmed_jax.training.loop import descend, Optimised, start, TrainingPlan

_LATENT = 128
_FIRST = 4  # Side of the smallest layer.
_CRITIC_STEPS = 5  # To one of the generator.
_PENALTY = 10.0


class WGANConfig(NamedTuple):
  """Sizes of a GAN: its images, and channels at their full size."""

  size: int
  channels: int
  width: int

  @property
  def doublings(self) -> int:
    """From the smallest layer to the images."""
    return (self.size // _FIRST).bit_length() - 1

  def width_at(self, level: int) -> int:
    """Channels after so many halvings of the images."""
    return min(self.width << level, 16 * self.width)


class _Generator(nnx.Module):
  """From a latent vector, by doubling its sides, to an image."""

  def __init__(self, config: WGANConfig, *, rngs: nnx.Rngs):
    levels = range(config.doublings, 0, -1)
    self.config = config
    deepest = config.width_at(config.doublings)
    self.start = nnx.Linear(_LATENT, _FIRST**2 * deepest, rngs=rngs)
    self.convs = nnx.List(
      nnx.Conv(
        config.width_at(level), config.width_at(level - 1), (3, 3), rngs=rngs
      )
      for level in levels
    )
    self.norms = nnx.List(
      normalisation('group', config.width_at(level - 1), rngs=rngs)
      for level in levels
    )
    self.head = nnx.Conv(config.width, config.channels, (3, 3), rngs=rngs)

  def __call__(self, latent, *, train=False):
    """``[b, 128] -> [b, s, s, c]`` in [-1, 1]."""
    del train
    x = self.start(latent).reshape(len(latent), _FIRST, _FIRST, -1)
    for conv, norm in zip(self.convs, self.norms, strict=True):
      x = jnp.repeat(jnp.repeat(nnx.relu(x), 2, axis=1), 2, axis=2)
      x = norm(conv(x))
    return jnp.tanh(self.head(nnx.relu(x)))


class _Critic(nnx.Module):
  """From an image, by halving its sides, to how real it is.

  Without normalisation: the penalty is on the gradient of single images.
  """

  def __init__(self, config: WGANConfig, *, rngs: nnx.Rngs):
    widths = [config.width_at(i) for i in range(config.doublings + 1)]
    inputs = [config.channels, *widths[1:-1]]
    self.convs = nnx.List(
      nnx.Conv(before, after, (4, 4), 2, rngs=rngs)
      for before, after in zip(inputs, widths[1:], strict=True)
    )
    self.head = nnx.Linear(_FIRST**2 * widths[-1], 1, rngs=rngs)

  def __call__(self, images, *, train=False):
    """``[b, s, s, c] -> [b]``, larger for real ones."""
    del train
    for conv in self.convs:
      images = nnx.leaky_relu(conv(images), 0.2)
    return self.head(images.reshape(len(images), -1))[:, 0]


class _State(NamedTuple):
  """Both players."""

  generator: Optimised
  critic: Optimised


def network(config: WGANConfig) -> Functional:
  """The generator."""
  if _FIRST << config.doublings != config.size or config.width % 8:
    raise UsageError(
      f'a GAN takes an `image_size` of {_FIRST} times a power of two and a '
      f'`width` that is a multiple of 8, not {config.size} and {config.width}'
    )
  return Functional(lambda rngs: _Generator(config, rngs=rngs))


class WGANLearner:
  """Critic and generator, five steps to one.

  The last epoch is kept: no score of validation says which is best.

  References:
    Gulrajani et al., 2017, algorithm 1.
  """

  better = 'max'

  def __init__(
    self, config: WGANConfig, plan: TrainingPlan, steps, validation, mesh
  ):
    """Sets up the training; arguments as of ``ddpm.DDPMLearner``.

    Raises:
      UsageError: if a batch cannot be dealt to the steps of the critic.
    """
    del steps, validation
    if -(-plan.batch_size // mesh.devices.size) % _CRITIC_STEPS:
      raise UsageError(
        f'`batch_size={plan.batch_size}`: a GAN takes a multiple of '
        f'{_CRITIC_STEPS} on each of {mesh.devices.size} devices'
      )
    self.network = network(config)
    self._critic = Functional(lambda rngs: _Critic(config, rngs=rngs))
    self._adam = optax.adam(plan.learning_rate, b1=0.5, b2=0.9)

  def init(self, seed: int) -> _State:
    """Fresh weights."""
    return _State(
      start(self.network, self._adam, seed),
      start(self._critic, self._adam, seed + 1),
    )

  def step(self, state: _State, batch: dict) -> tuple[_State, dict]:
    """Five steps of the critic on parts of ``images``, one of the generator."""
    keys = jax.vmap(lambda key: jax.random.split(key, 3))(batch_keys(batch))
    latents = jax.vmap(lambda key: jax.random.normal(key, (_LATENT,)))
    made_of, again = latents(keys[:, 0]), latents(keys[:, 1])
    share = jax.vmap(jax.random.uniform)(keys[:, 2])[:, None, None, None]

    def one(critic, part):
      images, latent, share = part
      made = self.network(state.generator.weights, latent)
      between = share * images + (1 - share) * made

      def loss(apply):
        penalty = _PENALTY * gradient_penalty(apply, between)
        distance = apply(images).mean() - apply(made).mean()
        losses = {'critic_distance': distance, 'gradient_penalty': penalty}
        return penalty - distance, losses

      return descend(self._critic, self._adam, loss, critic)

    parts = jax.tree.map(
      lambda rows: rows.reshape(_CRITIC_STEPS, -1, *rows.shape[1:]),
      (as_input(batch['images']), made_of, share),
    )
    # Convolutions in a loop take ten times as long on a CPU.
    critic, losses = jax.lax.scan(one, state.critic, parts, unroll=True)
    few = again[: len(again) // _CRITIC_STEPS]

    def loss(apply):
      value = -self._critic(critic.weights, apply(few)).mean()
      return value, {'generator': value}

    generator, more = descend(self.network, self._adam, loss, state.generator)
    losses = jax.tree.map(jnp.mean, losses) | more
    return _State(generator, critic), losses

  def validate(self, state: _State) -> dict[str, float]:
    """The step: the last is kept."""
    return {'score': float(state.generator.optimiser[0].count)}

  def sampled(self, state: _State) -> Weights:
    """The weights that sample."""
    return state.generator.weights


def gradient_penalty(critic: Callable, images: jax.Array) -> jax.Array:
  r"""Distance of slopes from 1, :math:`E (\lVert \nabla D(x) \rVert - 1)^2`.

  The norm of a gradient is the slope along it, a derivative forward with a
  direction that is held fixed; so the penalty's own gradient, the same to
  first order, differentiates backward once and not twice.

  Args:
    critic: ``[b, s, s, c] -> [b]``, image by image.
    images: ``[b, s, s, c]``.

  References:
    Gulrajani et al., 2017, eq. 3.
  """
  uphill = jax.grad(lambda images: critic(images).sum())(images)
  norms = jnp.sqrt(jnp.sum(uphill**2, axis=(1, 2, 3), keepdims=True))
  uphill = jax.lax.stop_gradient(uphill / jnp.maximum(norms, 1e-12))
  _, slopes = jax.jvp(critic, (images,), (uphill,))
  return jnp.mean((slopes - 1) ** 2)


def sample(config: WGANConfig, weights: Weights, key: jax.Array) -> jax.Array:
  """One image ``[s, s, c]`` in [-1, 1]."""
  return network(config)(weights, jax.random.normal(key, (1, _LATENT)))[0]


FAMILY = GeneratorFamily(
  name='gan',
  config=WGANConfig,
  learner=WGANLearner,
  sample=sample,
  defaults={
    'width': 16,
    'epochs': 100,
    'batch_size': 80,
    'learning_rate': 2e-4,
  },
)
