"""Phantoms, which need no file."""

import numpy as np

from genmed_jax.data import phantom
from genmed_jax.data.formats.arrays import stack
from genmed_jax.data.source import Source

PREFIX = 'phantom:'


def open_phantoms(name: str, text: str) -> Source:
  """The phantoms that ``phantom:NAME?key=value&...`` describes.

  Raises:
    UsageError: if there is no such phantom or setting.
  """
  settings = phantom.parse(text)
  drawn = phantom.draw(settings)
  labels = {'class': drawn.kind, 'scanner': drawn.scanner}
  if settings.name == 'brain':
    labels['contrast'] = np.full(settings.n, settings.contrast)
  described = phantom.stamp(settings)
  return stack(
    name,
    drawn.images,
    lambda i: f'{described} {i}',
    labels,
    drawn.mask,
  )
