"""How far can synthetic medical images, and their metrics, be trusted?

:func:`score` scores generated images, :class:`Evaluator` those of a training
loop; both give an :class:`Evaluation`. ``metrics``, ``networks``, ``data`` and
``perturb`` are the parts they are made of. Nothing is loaded before it is used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from genmed_jax import data, metrics, networks, perturb
  from genmed_jax.evaluation.library import Evaluator, score
  from genmed_jax.report.evaluation import Evaluation

__version__ = '0.1.0'

__all__ = [
  'data',
  'Evaluation',
  'Evaluator',
  'metrics',
  'networks',
  'perturb',
  'score',
]

_MODULES = {
  'Evaluation': 'report.evaluation',
  'Evaluator': 'evaluation.library',
  'score': 'evaluation.library',
}


def __getattr__(name: str):
  if name in _MODULES:
    module = importlib.import_module(f'{__name__}.{_MODULES[name]}')
    return getattr(module, name)
  if name in __all__:
    return importlib.import_module(f'{__name__}.{name}')
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
  return [*globals(), *__all__]
