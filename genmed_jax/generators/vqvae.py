"""VQ-VAE: images as grids of codes, and a prior that draws such grids."""

from typing import NamedTuple

from flax import nnx
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax

from genmed_jax.errors import UsageError
from genmed_jax.generators.base import GeneratorFamily
from genmed_jax.networks.layers import (
  depth_to_space,
  normalisation,
  space_to_depth,
)
from genmed_jax.networks.unet import Doubling
from genmed_jax.training.batches import as_input, OverRows
from genmed_jax.training.functional import Functional, Weights
from genmed_jax.training.loop import (
  adamw,
  descend,
  Optimised,
  start,
  TrainingPlan,
)

_PATCH = 2  # Pixels of a side that are one to the coders.
_STRIDE = 2 * _PATCH  # Pixels of a side that are one code.
_LEVELS = np.array([7, 7, 5])  # Of each coordinate of a code.
_HALF = _LEVELS // 2
_CODES = int(_LEVELS.prod())
_PLACES = _CODES // np.cumprod(_LEVELS)  # Of coordinates in a code's number.
_PRIOR_LAYERS = 5


class VQVAEConfig(NamedTuple):
  """Sizes of a VQ-VAE: its images, and channels at their full size."""

  size: int
  channels: int
  width: int

  @property
  def grid(self) -> int:
    """Side of the grid of codes."""
    return self.size // _STRIDE


class _Coder(nnx.Module):
  """Between images in patches and grids of codes, by convolutions."""

  def __init__(self, inputs, outputs, width, *, up: bool, rngs: nnx.Rngs):
    self.first = nnx.Conv(inputs, width, (3, 3), rngs=rngs)
    self.step = (
      Doubling(width, width, rngs=rngs)
      if up
      else nnx.Conv(width, width, (4, 4), 2, rngs=rngs)
    )
    sides = range(2)
    self.convs = nnx.List(
      nnx.Conv(width, width, (3, 3), rngs=rngs) for _ in sides
    )
    self.norms = nnx.List(
      normalisation('group', width, rngs=rngs) for _ in sides
    )
    self.last = nnx.Conv(width, outputs, (3, 3), rngs=rngs)

  def __call__(self, x):
    x = self._residual(0, self.first(x))
    x = self._residual(1, self.step(nnx.relu(x)))
    return self.last(nnx.relu(x))

  def _residual(self, side, x):
    return x + self.convs[side](nnx.relu(self.norms[side](x)))


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
  """Distribution of each code, given those before it.

  Those above and to the left are seen by masked convolutions, the place by a
  learnt vector: heads lie alike, and their outline is further off than
  convolutions see.

  References:
    van den Oord et al., 2016 (PixelCNN), section 3.
  """

  def __init__(self, grid: int, width: int, *, rngs: nnx.Rngs):
    self.embed = nnx.Embed(_CODES, width, rngs=rngs)
    self.place = nnx.Param(jnp.zeros((grid, grid, width)))
    layers = range(_PRIOR_LAYERS)
    self.convs = nnx.List(
      _CausalConv(width, itself=i > 0, rngs=rngs) for i in layers
    )
    self.norms = nnx.List(nnx.LayerNorm(width, rngs=rngs) for _ in layers)
    self.head = nnx.Linear(width, _CODES, rngs=rngs)

  def __call__(self, codes):
    """``[b, g, g]`` to logits ``[b, g, g, codes]``."""
    x = self.convs[0](self.embed(codes)) + self.place[...]
    for conv, norm in zip(self.convs[1:], self.norms[1:], strict=True):
      x = x + conv(nnx.relu(norm(x)))
    return self.head(nnx.relu(self.norms[0](x)))


class Coded(NamedTuple):
  """Outputs of the network for images.

  Attributes:
    images: Decoded, ``[b, s, s, c]``.
    codes: ``[b, g, g]``.
    entropy: Of codes under the prior, mean, in nats.
  """

  images: jax.Array
  codes: jax.Array
  entropy: jax.Array


def _as_codes(points) -> jax.Array:
  """The numbers of points ``[..., 3]`` of the grid of levels, about 0."""
  return ((points + _HALF) * _PLACES).sum(-1).astype(int)


def _as_points(codes) -> jax.Array:
  """The inverse of :func:`_as_codes`."""
  return codes[..., None] // _PLACES % _LEVELS - _HALF


class _VQVAE(nnx.Module):
  """Encoder, codes, decoder and prior.

  Codes are the points of a fixed grid, and each of its coordinates is spread
  over them within an image: on images that are mostly background, those of a
  learnt codebook fall out of use.

  References:
    Mentzer et al., 2023 (finite scalar quantisation), section 3.
  """

  def __init__(self, config: VQVAEConfig, *, rngs: nnx.Rngs):
    width = 2 * config.width
    pixels, codes = _PATCH**2 * config.channels, len(_LEVELS)
    self.encode = _Coder(pixels, codes, width, up=False, rngs=rngs)
    self.spread = normalisation('instance', codes, rngs=rngs)
    self.decode = _Coder(codes, pixels, width, up=True, rngs=rngs)
    self.prior = _Prior(config.grid, width, rngs=rngs)

  def __call__(self, images, *, train=False):
    """``[b, s, s, c]`` to :class:`Coded`."""
    del train
    found = self.spread(self.encode(space_to_depth(images, _PATCH)))
    found = _HALF * jnp.tanh(found)
    points = jnp.round(found)
    codes = _as_codes(points)
    # The gradient passes the rounding as if it were not there.
    passed = found + lax.stop_gradient(points - found)
    entropy = optax.softmax_cross_entropy_with_integer_labels(
      self.prior(codes), codes
    ).mean()
    return Coded(self._image(passed), codes, entropy)

  def decoded(self, codes):
    """``[b, g, g]`` to images."""
    return jnp.clip(self._image(_as_points(codes).astype(jnp.float32)), -1, 1)

  def _image(self, points):
    return depth_to_space(self.decode(points), _PATCH)


def network(config: VQVAEConfig) -> Functional:
  """The whole of it."""
  if config.size % _STRIDE or config.width % 4:
    raise UsageError(
      f'a VQ-VAE takes an `image_size` that is a multiple of {_STRIDE} '
      f'and a `width` of 4, not {config.size} and {config.width}'
    )
  return Functional(lambda rngs: _VQVAE(config, rngs=rngs))


class VQVAELearner:
  """Learns to code images and to foretell their codes, both at once.

  References:
    van den Oord et al., 2017, section 3.
  """

  better = 'min'

  def __init__(
    self, config: VQVAEConfig, plan: TrainingPlan, steps, validation, mesh
  ):
    """Sets up the training; arguments as of ``ddpm.DDPMLearner``."""
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
  return 10 * error + 0.1 * found.entropy


def sample(config: VQVAEConfig, weights: Weights, key: jax.Array) -> jax.Array:
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


FAMILY = GeneratorFamily(
  name='vae',
  config=VQVAEConfig,
  learner=VQVAELearner,
  sample=sample,
  defaults={'width': 32, 'epochs': 60, 'learning_rate': 3e-3},
)
