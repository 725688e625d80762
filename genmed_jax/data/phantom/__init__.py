"""Seeded phantoms of heads, for use without any data.

``phantom:brain`` draws slices with tumours, ``phantom:mra`` projections of the
arteries; both as one of two scanners would show them. Every image is a pure
function of its set's seed and its number and shows a subject of its own, so
two sets with different seeds share none. What is measured on them says how
metrics behave, nothing about patients.
"""

from typing import NamedTuple
import urllib.parse

import numpy as np

from genmed_jax.data import versions
from genmed_jax.data.phantom import brain, chance, scanner, vessels
from genmed_jax.errors import UsageError

_BLOCK = 64
_ARTISTS = {'brain': brain, 'mra': vessels}


class Phantoms(NamedTuple):
  """Images of as many subjects, and the truth about them.

  Attributes:
    images: ``[n, size, size]`` uint8.
    mask: ``[n, size, size]`` bool: the tumour, or the vessels.
    tissue: ``[n, size, size]`` uint8, an index to ``brain.TISSUES`` or
      ``vessels.TISSUES``.
    kind: ``[n]`` strings, one of ``brain.CLASSES`` or ``vessels.CLASSES``.
    scanner: ``[n]`` strings, one of ``scanner.NAMES``.
  """

  images: np.ndarray
  mask: np.ndarray
  tissue: np.ndarray
  kind: np.ndarray
  scanner: np.ndarray


class Settings(NamedTuple):
  """Keys of ``phantom:NAME?key=value&...`` and their defaults.

  Attributes:
    name: ``brain`` or ``mra``; not a key.
    n: How many images.
    size: Side in pixels.
    seed: Of the set.
    noise: Standard deviation of scanner A's Rician noise, at a signal range
      of 1; scanner B has more.
    scanner_a: Share of images from scanner A.
    memorised: Share of the images that are exact copies of another set's:
      image i of the set with seed ``of`` and the other keys of this one.
    of: That set's seed.
    contrast: Of brain slices: flair, t1 or t2.
    tumours: Of brain slices: share with a tumour.
  """

  name: str = 'brain'
  n: int = 256
  size: int = 128
  seed: int = 0
  noise: float = 0.015
  scanner_a: float = 0.5
  memorised: float = 0.0
  of: int = 0
  contrast: str = 'flair'
  tumours: float = 0.5


_KEYS = {
  'brain': Settings._fields[1:],
  'mra': Settings._fields[1:-2],
}


def parse(text: str) -> Settings:
  """Reads ``phantom:NAME?key=value&...``.

  Raises:
    UsageError: if the phantom, a key or a value is not one of ours.
  """
  name, _, query = text.removeprefix('phantom:').partition('?')
  if name not in _KEYS:
    raise UsageError(f'unknown phantom {name!r}; there are: {", ".join(_KEYS)}')
  values = {}
  for key, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
    if key not in _KEYS[name]:
      raise UsageError(
        f'{text}: unknown key {key!r}; known: {", ".join(_KEYS[name])}'
      )
    kind = type(Settings._field_defaults[key])
    try:
      values[key] = kind(value)
    except ValueError:
      raise UsageError(
        f'{text}: {key} must be a number ({kind.__name__}), not {value!r}'
      ) from None
  settings = Settings(name, **values)
  shares = settings.memorised, settings.scanner_a, settings.tumours
  if not (
    0 < settings.n <= 100_000
    and 16 <= settings.size <= 1024
    and 0 <= settings.noise <= 10
    and all(0 <= share <= 1 for share in shares)
    and 0 <= min(settings.seed, settings.of)
    and max(settings.seed, settings.of) < 2**32
    and settings.contrast in brain.SIGNALS
  ):
    raise UsageError(
      f'{text}: n must be from 1 to 100000, size from 16 to 1024, noise from '
      '0 to 10, memorised, scanner_a and tumours in [0, 1], seeds from 0 to '
      f'2**32 - 1, contrast one of {", ".join(brain.SIGNALS)}'
    )
  return settings


def stamp(settings: Settings) -> str:
  """A text that identifies the images."""
  return f'{versions.PHANTOM} {settings}'


def draw(settings: Settings) -> Phantoms:
  """Draws the images that ``settings`` describe, in blocks on the device."""
  random = np.random.default_rng([settings.seed, 1])
  copied = random.random(settings.n) < settings.memorised
  seeds = np.where(copied, settings.of, settings.seed).astype(np.uint32)
  numbers = np.arange(settings.n, dtype=np.uint32)
  blocks = []
  for start in range(0, settings.n, _BLOCK):
    # The last block is filled up so that one program draws them all.
    at = np.arange(start, start + _BLOCK) % settings.n
    block = _draw_block(settings, seeds[at], numbers[at])
    blocks.append([np.asarray(part) for part in block])
  images, mask, tissue, kind, which = (
    np.concatenate(parts)[: settings.n] for parts in zip(*blocks, strict=True)
  )
  kinds = np.array(_ARTISTS[settings.name].CLASSES)
  return Phantoms(
    images, mask, tissue, kinds[kind], np.array(scanner.NAMES)[which]
  )


def _draw_block(settings: Settings, seeds: np.ndarray, numbers: np.ndarray):
  """The fields of :class:`Phantoms`, kinds and scanners as numbers."""
  artist = _ARTISTS[settings.name]
  options = {'size': settings.size}
  if settings.name == 'brain':
    options['signals'] = np.float32(brain.SIGNALS[settings.contrast])
    options['tumours'] = settings.tumours
  drawn = chance.draw(seeds, numbers, artist.DRAWS | scanner.DRAWS)
  drawing = artist.draw({name: drawn[name] for name in artist.DRAWS}, **options)
  images, which = scanner.acquire(
    {name: drawn[name] for name in scanner.DRAWS},
    drawing.signal,
    noise=settings.noise,
    share_a=settings.scanner_a,
  )
  return images, drawing.mask, drawing.tissue, drawing.kind, which
