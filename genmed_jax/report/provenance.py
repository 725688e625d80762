"""Versions and devices that a result stands on."""

import importlib.metadata

import jax

from genmed_jax import __version__

PACKAGES = ('jax', 'jaxlib', 'flax', 'numpy', 'scipy', 'pillow')


def environment() -> dict:
  """Versions and devices, for the provenance."""
  return {
    'versions': {'genmed_jax': __version__}
    | {name: importlib.metadata.version(name) for name in PACKAGES},
    'devices': [d.device_kind for d in jax.devices()],
    'processes': jax.process_count(),
  }
