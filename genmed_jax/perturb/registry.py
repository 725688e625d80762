"""The families by name, gathered from the modules that declare them.

Levels are those of Deo et al., Metrics that Matter.
"""

import importlib
import pkgutil

from genmed_jax.perturb.base import Family


def _gathered() -> dict[str, Family]:
  """Every family that a module of this package lists as ``FAMILIES``."""
  package = importlib.import_module('genmed_jax.perturb')
  declared = []
  for module in pkgutil.iter_modules(package.__path__):
    if module.name != 'registry':
      found = importlib.import_module(f'{package.__name__}.{module.name}')
      declared += getattr(found, 'FAMILIES', ())
  declared.sort(key=lambda family: family.acts_on)
  return {family.name: family for family in declared}


FAMILIES = _gathered()
