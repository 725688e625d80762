"""A seeded generator of brain-like slices, for use without any data.

A phantom is drawn from smooth random shapes: nested head, skull, fluid and
cortex with gyri, ventricles, deep nuclei, and in half of the slices a tumour
with its exact mask. Every image is a pure function of its set's seed and its
number, so two sets with different seeds share no subject. What is measured on
it says how metrics behave, nothing about patients.
"""

import functools
from typing import NamedTuple
import urllib.parse

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from genmed_jax.errors import UsageError

_VERSION = 'phantom-1'
_BLOCK = 64

# Tissue classes, in the order they are painted, and their FLAIR-like signal.
TISSUES = ('air', 'scalp', 'skull', 'fluid', 'grey', 'white', 'tumour')
_SIGNAL = (0.0, 0.55, 0.08, 0.13, 0.56, 0.42, 0.88)


class BrainSlices(NamedTuple):
  """``images [n, h, w]`` uint8, ``tissue [n, h, w]`` uint8, ``mask`` bool.

  ``tissue`` indexes :data:`TISSUES`; ``mask`` is where the tumour is.
  """

  images: np.ndarray
  tissue: np.ndarray
  mask: np.ndarray


class Settings(NamedTuple):
  """Keys of ``phantom:brain?key=value&...`` and their defaults.

  Attributes:
    n: How many slices.
    size: Side in pixels.
    seed: Of the set.
    noise: Standard deviation of the Rician noise, at a signal range of 1.
    memorised: Share of the slices that are exact copies of another set's:
      slice i of the set with seed ``of``, and this size and noise.
    of: That set's seed.
  """

  n: int = 256
  size: int = 128
  seed: int = 0
  noise: float = 0.015
  memorised: float = 0.0
  of: int = 0


def parse(text: str) -> Settings:
  """Reads ``phantom:brain?key=value&...``.

  Raises:
    UsageError: if the phantom, a key or a value is not one of ours.
  """
  name, _, query = text.removeprefix('phantom:').partition('?')
  if name != 'brain':
    raise UsageError(f'unknown phantom {name!r}; there is: brain')
  values = {}
  for key, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
    if key not in Settings._fields:
      raise UsageError(
        f'{text}: unknown key {key!r}; known: {", ".join(Settings._fields)}'
      )
    kind = type(Settings._field_defaults[key])
    try:
      values[key] = kind(value)
    except ValueError:
      raise UsageError(
        f'{text}: {key} must be a number ({kind.__name__}), not {value!r}'
      ) from None
  settings = Settings(**values)
  if not (
    0 < settings.n <= 100_000
    and 16 <= settings.size <= 1024
    and 0 <= settings.noise <= 10
    and 0 <= settings.memorised <= 1
    and 0 <= min(settings.seed, settings.of)
    and max(settings.seed, settings.of) < 2**32
  ):
    raise UsageError(
      f'{text}: n must be from 1 to 100000, size from 16 to 1024, noise from '
      '0 to 10, memorised in [0, 1], seeds from 0 to 2**32 - 1'
    )
  return settings


def stamp(settings: Settings) -> str:
  """What the images depend on."""
  return f'{_VERSION} {settings}'


def brain_slices(settings: Settings) -> BrainSlices:
  """Draws the slices that ``settings`` describe, in blocks on the device."""
  random = np.random.default_rng([settings.seed, 1])
  copied = random.random(settings.n) < settings.memorised
  seeds = np.where(copied, settings.of, settings.seed).astype(np.uint32)
  numbers = np.arange(settings.n, dtype=np.uint32)
  blocks = []
  for start in range(0, settings.n, _BLOCK):
    # The last block is filled up so that one program draws them all.
    at = np.arange(start, start + _BLOCK) % settings.n
    block = _draw_block(
      seeds[at], numbers[at], settings.noise, size=settings.size
    )
    blocks.append([np.asarray(part) for part in block])
  images, tissue = (
    np.concatenate(parts)[: settings.n] for parts in zip(*blocks, strict=True)
  )
  return BrainSlices(images, tissue, tissue == TISSUES.index('tumour'))


@functools.partial(jax.jit, static_argnames='size')
def _draw_block(seeds, numbers, noise, *, size):
  def one(seed, number):
    key = jax.random.fold_in(jax.random.key(seed), number)
    return _draw(key, noise, size)

  return jax.vmap(one)(seeds, numbers)


def _draw(key, noise, size):
  """One slice, ``[size, size]`` uint8, and its tissue classes."""
  keys = iter(jax.random.split(key, 10))
  drawn = iter(jax.random.uniform(next(keys), (13,)))

  def uniform(low, high):
    return low + (high - low) * next(drawn)

  axis = (jnp.arange(size) + 0.5) / size * 2 - 1
  x0, y0 = jnp.meshgrid(axis, axis)
  tilt = uniform(-0.12, 0.12)
  dx, dy = uniform(-0.04, 0.04), uniform(-0.04, 0.04)
  x = jnp.cos(tilt) * (x0 - dx) + jnp.sin(tilt) * (y0 - dy)
  y = jnp.cos(tilt) * (y0 - dy) - jnp.sin(tilt) * (x0 - dx)

  # Depth: 1 at the scalp, 0 at the centre, over a wobbling ellipse.
  width, height = uniform(0.66, 0.78), uniform(0.82, 0.92)
  angle = jnp.arctan2(y, x)
  outline = 1 + _wobble(next(keys), angle, (2, 5), 0.015)
  depth = jnp.hypot(x / width, y / height) / outline
  cortex = uniform(0.64, 0.72) + _wobble(next(keys), angle, (9, 22), 0.02)
  cortex = cortex + 0.02 * _smooth_field(next(keys), axis, 6.0)
  atrophy = uniform(0.8, 1.5)  # Widens ventricles and sulci together.

  fissure = jnp.abs(x) < 0.012 * atrophy
  fissure &= (depth < 0.86) & (jnp.abs(y) > 0.3 * height)
  spread = uniform(0.09, 0.13)
  ventricle = _ellipse(
    jnp.abs(x) - spread - 0.12 * jnp.abs(y), y, 0.055 * atrophy, 0.24
  )
  nucleus = _ellipse(jnp.abs(x) - spread - 0.17, y - 0.03, 0.09, 0.15)

  tissue = jnp.zeros((size, size), jnp.int32)
  painted = (
    (depth < 1.0, 1),
    (depth < 0.95, 2),
    (depth < 0.89, 3),
    (depth < 0.89 - 0.03 * atrophy, 4),
    (depth < cortex, 5),
    (nucleus < 1, 4),
    (fissure | (ventricle < 1), 3),
  )
  for where, index in painted:
    tissue = jnp.where(where, index, tissue)

  # The tumour: irregular outline, brighter rim, anywhere in the brain.
  present = uniform(0.0, 1.0) < 0.5
  site, far = uniform(0.0, 2 * jnp.pi), uniform(0.2, 0.6)
  tx = x - far * width * jnp.cos(site)
  ty = y - far * height * jnp.sin(site)
  outline = 1 + _wobble(next(keys), jnp.arctan2(ty, tx), (2, 7), 0.12)
  reach = jnp.hypot(tx, ty) / (uniform(0.09, 0.24) * outline)
  tumour = present & (reach < 1) & (depth < 0.85)
  tissue = jnp.where(tumour, 6, tissue)

  gains = 1 + 0.06 * jax.random.normal(next(keys), (len(_SIGNAL),))
  signal = (jnp.asarray(_SIGNAL) * gains)[tissue]
  signal = signal - jnp.where(tumour, 0.2 * (reach < 0.5), 0.0)
  signal = _blur(signal, 0.006 * size)
  texture = 1 + 0.05 * _smooth_field(next(keys), axis, 18.0)
  bias = 1 + 0.12 * _smooth_field(next(keys), axis, 1.5)
  n1, n2 = noise * jax.random.normal(next(keys), (2, size, size))
  image = jnp.hypot(signal * texture * bias + n1, n2)
  image = jnp.round(255 * jnp.clip(image, 0, 1)).astype(jnp.uint8)
  return image, tissue.astype(jnp.uint8)


def _wobble(key, angle, frequencies, amplitude):
  """A random function of ``angle`` with frequencies in ``[low, high)``."""
  k = jnp.arange(*frequencies)
  weights, phases = jax.random.normal(key, (2, len(k), 1, 1))
  waves = weights * jnp.cos(k[:, None, None] * angle + 6 * phases)
  return amplitude * waves.sum(0) / jnp.sqrt(len(k) / 2)


def _smooth_field(key, axis, frequency, waves=24):
  """A random field ``[size, size]`` of unit variance out of plane waves."""
  k = frequency * jax.random.normal(key, (2, waves))
  phase = 2 * jnp.pi * jax.random.uniform(jax.random.fold_in(key, 1), (waves,))
  down = axis[:, None] * k[0] + phase
  across = axis[:, None] * k[1]
  # cos(a + b), summed over waves, as two products of small matrices.
  product = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)
  field = product(jnp.cos(down), jnp.cos(across).T)
  return (field - product(jnp.sin(down), jnp.sin(across).T)) * (
    (2 / waves) ** 0.5
  )


def _ellipse(x, y, a, b):
  return jnp.hypot(x / a, y / b)


def _blur(image, sigma):
  reach = int(np.ceil(3 * sigma))
  offsets = jnp.arange(-reach, reach + 1)
  taps = jnp.exp(-0.5 * (offsets / sigma) ** 2)
  taps = taps / taps.sum()
  along = jax.vmap(lambda row: jnp.convolve(row, taps, mode='same'))
  return along(along(image).T).T
