"""VQ-VAE: images as grids of codes, and a prior that draws such grids."""

from typing import NamedTuple

from flax import nnx
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax

from genmed_jax.downstream.pictures import as_input, OverRows
from genmed_jax.downstream.training import (
  adamw,
  descend,
  Optimised,
  Plan,
  start,
)
from genmed_jax.errors import UsageError
from genmed_jax.networks.normalisation import normalisation
from genmed_jax.networks.trained import Functional, Weights
from genmed_jax.networks.unet import Doubling

USUAL = {'width': 32, 'epochs': 60, 'learning_rate': 1e-3}

_HALVINGS = 3
_CODES = 256
_CODE_WIDTH = 32
_COMMITMENT = 0.25
_PRIOR_LAYERS = 5


class Config(NamedTuple):
  """What a VQ-VAE is made of: its images, and channels at their full size."""

  size: int
  channels: int
  width: int

  @property
  def grid(self) -> int:
    """Side of the grid of codes."""
    return self.size >> _HALVINGS


class _Coder(nnx.Module):
  """Halves or doubles the sides of images so often."""

  def __init__(self, inputs, outputs, width, *, up: bool, rngs: nnx.Rngs):
    self.first = nnx.Conv(inputs, width, (3, 3), rngs=rngs)
    steps = range(_HALVINGS)
    self.steps = nnx.List(
      Doubling(width, width, rngs=rngs)
      if up
      else nnx.Conv(width, width, (4, 4), 2, rngs=rngs)
      for _ in steps
    )
    self.convs = nnx.List(
      nnx.Conv(width, width, (3, 3), rngs=rngs) for _ in steps
    )
    self.norms = nnx.List(
      normalisation('group', width, rngs=rngs) for _ in steps
    )
    self.last = nnx.Conv(width, outputs, (3, 3), rngs=rngs)

  def __call__(self, x):
    x = self.first(x)
    for step, conv, norm in zip(
      self.steps, self.convs, self.norms, strict=True
    ):
      x = step(nnx.relu(x))
      x = x + conv(nnx.relu(norm(x)))
    return self.last(nnx.relu(x))


class _CausalConv(nnx.Conv):
  """Sees what is above and to the left, and in later layers itself."""

  def __init__(self, width, *, itself, rngs):
    super().__init__(width, width, (5, 5), rngs=rngs)
    self.itself = itself

  def __call__(self, x):
    seen = np.zeros((5, 5, 1, 1), np.float32)
    seen[:2] = seen[2, : 2 + self.itself] = 1.0
    return self.bias[...] + lax.conv_general_dilated(
      x,
      seen * self.kernel[...],
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )


class _Prior(nnx.Module):
  """What each code is likely to be, given those above and to the left.

  References:
    van den Oord et al., 2016 (PixelCNN), section 3.
  """

  def __init__(self, width: int, *, rngs: nnx.Rngs):
    self.embed = nnx.Embed(_CODES, width, rngs=rngs)
    layers = range(_PRIOR_LAYERS)
    self.convs = nnx.List(
      _CausalConv(width, itself=i > 0, rngs=rngs) for i in layers
    )
    self.norms = nnx.List(nnx.LayerNorm(width, rngs=rngs) for _ in layers)
    self.head = nnx.Linear(width, _CODES, rngs=rngs)

  def __call__(self, codes):
    """``[b, g, g]`` to logits ``[b, g, g, codes]``."""
    x = self.convs[0](self.embed(codes))
    for conv, norm in zip(self.convs[1:], self.norms[1:], strict=True):
      x = x + conv(nnx.relu(norm(x)))
    return self.head(nnx.relu(self.norms[0](x)))


class Coded(NamedTuple):
  """What the network makes of images.

  Attributes:
    images: Decoded, ``[b, s, s, c]``.
    codes: ``[b, g, g]``.
    distance: Mean square distance of codes to what they stand for.
    entropy: Of codes under the prior, mean, in nats.
  """

  images: jax.Array
  codes: jax.Array
  distance: jax.Array
  entropy: jax.Array


class _VQVAE(nnx.Module):
  """Encoder, codes, decoder and prior."""

  def __init__(self, config: Config, *, rngs: nnx.Rngs):
    width = 2 * config.width
    self.encode = _Coder(
      config.channels, _CODE_WIDTH, width, up=False, rngs=rngs
    )
    self.decode = _Coder(
      _CODE_WIDTH, config.channels, width, up=True, rngs=rngs
    )
    self.codebook = nnx.Embed(_CODES, _CODE_WIDTH, rngs=rngs)
    self.prior = _Prior(width, rngs=rngs)

  def __call__(self, images, *, train=False):
    """``[b, s, s, c]`` to :class:`Coded`."""
    del train
    found = self.encode(images)
    book = self.codebook.embedding[...]
    squared = jnp.sum(book**2, axis=1) - 2 * found @ book.T
    codes = jnp.argmin(squared, axis=-1)
    quantised = book[codes]
    toward = jnp.mean((quantised - lax.stop_gradient(found)) ** 2)
    commit = jnp.mean((lax.stop_gradient(quantised) - found) ** 2)
    passed = found + lax.stop_gradient(quantised - found)
    entropy = optax.softmax_cross_entropy_with_integer_labels(
      self.prior(codes), codes
    ).mean()
    return Coded(
      jnp.tanh(self.decode(passed)),
      codes,
      toward + _COMMITMENT * commit,
      entropy,
    )

  def decoded(self, codes):
    """``[b, g, g]`` to images."""
    return jnp.tanh(self.decode(self.codebook(codes)))


def network(config: Config) -> Functional:
  """The whole of it."""
  if config.size % (1 << _HALVINGS) or config.width % 4:
    raise UsageError(
      f'a VQ-VAE takes an --image_size that is a multiple of {1 << _HALVINGS} '
      f'and a --width of 4, not {config.size} and {config.width}'
    )
  return Functional(lambda rngs: _VQVAE(config, rngs=rngs))


class Learner:
  """Learns to code images and to foretell their codes, both at once.

  References:
    van den Oord et al., 2017, eq. 3.
  """

  better = 'min'

  def __init__(self, config: Config, plan: Plan, steps, validation, mesh):
    """Sets up the training; arguments as of ``ddpm.Learner``."""
    self.network = network(config)
    self._optimiser = adamw(plan, steps)
    self._validation = validation

    def losses(weights, images):
      return jax.vmap(
        lambda image: _total(self.network(weights, image[None]), image)
      )(as_input(images))

    self._losses = OverRows(mesh, losses)

  def init(self, seed: int) -> Optimised:
    """Fresh weights."""
    return start(self.network, self._optimiser, seed)

  def step(self, state: Optimised, batch: dict) -> tuple[Optimised, dict]:
    """One step on ``images``."""
    images = as_input(batch['images'])

    def loss(apply):
      found = apply(images)
      losses = {
        'image_error': jnp.mean((found.images - images) ** 2),
        'code_distance': found.distance,
        'prior_entropy': found.entropy,
      }
      return _total(found, images), losses

    return descend(self.network, self._optimiser, loss, state)

  def validate(self, state: Optimised) -> dict[str, float]:
    """The loss of validation images."""
    losses = self._losses(state.weights, self._validation)
    return {'score': float(losses.mean())}

  def sampled(self, state: Optimised) -> Weights:
    """The weights that sample."""
    return state.weights


def _total(found: Coded, images) -> jax.Array:
  error = jnp.mean((found.images - images) ** 2)
  # Errors are small beside entropies: an image's range is 2, not its spread.
  return 10 * error + found.distance + 0.1 * found.entropy


def sample(config: Config, weights: Weights, key: jax.Array) -> jax.Array:
  """One image ``[s, s, c]`` in [-1, 1], code by code from the prior."""
  model = network(config).module(weights)
  side = config.grid

  def step(i, codes):
    logits = model.prior(codes)[0, i // side, i % side]
    drawn = jax.random.categorical(jax.random.fold_in(key, i), logits)
    return codes.at[0, i // side, i % side].set(drawn)

  empty = jnp.zeros((1, side, side), int)
  codes = lax.fori_loop(0, side * side, step, empty)
  return model.decoded(codes)[0]
