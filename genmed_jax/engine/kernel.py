"""Kernels: functions of feature sets that take arrays and rows too."""

from collections.abc import Callable, Mapping
import contextlib
import functools
import inspect
from typing import Any, TypeVar

import jax
import numpy as np

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.rows import as_rows, Rows
from genmed_jax.errors import Undefined

T = TypeVar('T')


def as_feature_set(x) -> FeatureSet:
  """A feature set as it is, or one of ``Rows`` or of an array ``[n, d]``.

  Raises:
    ValueError: if it is not a matrix.
  """
  shape = np.shape(x.values if isinstance(x, Rows) else x)
  if len(shape) != 2:
    raise ValueError(f'features must be [n, d], not {shape}')
  if isinstance(x, FeatureSet):
    return x
  return FeatureSet(x if isinstance(x, Rows) else as_rows(x))


def on_feature_sets(
  kernel: Callable[..., T] | None = None,
  *,
  at_least: int = 2,
  x64: bool = True,
) -> Callable[..., T]:
  """Makes a kernel of :class:`FeatureSet` take arrays and ``Rows`` too.

  The sets, or lists of them, are the kernel's positional parameters, its
  options are keyword-only. It runs in x64, unless it is not to, and finds its
  sets checked: matrices of one width, of ``at_least`` images, finite.

  Raises:
    ValueError: if a set is not a matrix, the widths differ or a feature is
      not finite.
    Undefined: if a set has fewer than ``at_least`` images, or features too
      large or small for squares in single precision.
  """
  if kernel is None:
    return functools.partial(on_feature_sets, at_least=at_least, x64=x64)
  signature = inspect.signature(kernel)
  names = [
    parameter.name
    for parameter in signature.parameters.values()
    if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
  ]

  @functools.wraps(kernel)
  def checked(*args, **kwargs):
    given = signature.bind(*args, **kwargs).arguments
    with jax.enable_x64(True), contextlib.ExitStack() as stack:
      sets = {name: given.pop(name) for name in names}
      if any(isinstance(x, list) for x in sets.values()):
        for each in zip(*sets.values(), strict=True):
          _check(dict(zip(names, each, strict=True)), at_least)
      else:
        sets = {name: as_feature_set(x) for name, x in sets.items()}
        for x in sets.values():
          stack.enter_context(x.in_use())
        _check(sets, at_least)
      with jax.enable_x64(x64):
        return kernel(**sets, **given)

  return checked


# Root of the total variance. Beyond, squares of float32 differences vanish or
# overflow.
_LEAST_SPREAD, _LARGEST_SPREAD = 1e-14, 1e14

_CALLED = {'x': 'real', 'y': 'generated', 'train': 'training'}


def _check(sets: dict[str, FeatureSet], at_least: int) -> None:
  if len({x.width for x in sets.values()}) > 1:
    widths = (f'{x.width} ({_CALLED.get(n, n)})' for n, x in sets.items())
    raise ValueError(f'feature widths differ: {" and ".join(widths)}')
  check_count(at_least, **sets)
  for name, x in sets.items():
    if not x.is_finite:
      raise ValueError(f'{_called(name, sets)}features are not finite')
    spread = x.spread
    if spread and not _LEAST_SPREAD < spread < _LARGEST_SPREAD:
      raise Undefined(
        f'{_called(name, sets)}features spread by {spread:.2g}, where '
        f'{_LEAST_SPREAD:g} to {_LARGEST_SPREAD:g} are allowed: scale them'
      )


def check_count(at_least: int, **sets: FeatureSet | list[FeatureSet]) -> None:
  """Raises Undefined unless every set has so many images."""
  for name, given in sets.items():
    for x in given if isinstance(given, list) else [given]:
      if x.count < at_least:
        raise Undefined(
          f'needs at least {at_least} {_called(name, sets)}images, '
          f'got {x.count}'
        )


def _called(name: str, sets: Mapping[str, Any]) -> str:
  return f'{_CALLED.get(name, name)} ' if len(sets) > 1 else ''
