"""Mappings of pixel values to [0, 1]."""

from collections.abc import Callable

import numpy as np

from genmed_jax.errors import UsageError


def parse_intensity(text: str) -> Callable[[np.ndarray], np.ndarray]:
  """The mapping to [0, 1] that ``intensity`` names.

  Args:
    text: ``dtype``: integers over their type's whole range, floats as they
      are and inside [0, 1]; ``minmax``: each image over its own range;
      ``percentile:LOW,HIGH``: over its own percentiles, clipped;
      ``window:CENTRE,WIDTH``: over a fixed window, clipped.

  Returns:
    Array to array of the same shape: uint8 and uint16 as they are, meaning
    their whole range, or float32 in [0, 1].

  Raises:
    UsageError: if ``text`` is none of these.
  """
  kind, _, numbers = text.partition(':')
  try:
    values = [float(number) for number in numbers.split(',')] if numbers else []
  except ValueError:
    values = [np.nan]
  if not np.isfinite(values).all():
    kind = None
  if kind == 'dtype' and values == []:
    return _by_dtype
  if kind == 'minmax' and values == []:
    return lambda image: _stretch(image, image.min(), image.max())
  if kind == 'percentile' and len(values) == 2:
    low, high = values
    if 0 <= low < high <= 100:
      return lambda image: _stretch(image, *np.percentile(image, (low, high)))
  if kind == 'window' and len(values) == 2 and values[1] > 0:
    centre, width = values
    return lambda image: _stretch(image, centre - width / 2, centre + width / 2)
  raise UsageError(
    f'`intensity={text!r}`: accepted are dtype, minmax, percentile:LOW,HIGH '
    'with 0 <= LOW < HIGH <= 100, and window:CENTRE,WIDTH with WIDTH > 0'
  )


def as_float(image: np.ndarray) -> np.ndarray:
  """The result of :func:`parse_intensity` as float32 in [0, 1]."""
  if not np.issubdtype(image.dtype, np.integer):
    return image
  return image / np.float32(np.iinfo(image.dtype).max)


def _by_dtype(image: np.ndarray) -> np.ndarray:
  if image.dtype == bool:
    return image.astype(np.uint8) * np.uint8(255)
  if image.dtype in (np.uint8, np.uint16):
    return image
  _check_finite(image)
  if np.issubdtype(image.dtype, np.floating) and (
    0 <= image.min() and image.max() <= 1
  ):
    return image.astype(np.float32)
  raise ValueError(
    f'its {image.dtype} values run from {image.min():g} to {image.max():g}, '
    'not in [0, 1]: map them by `intensity`, one of minmax, percentile:1,99 '
    'and window:CENTRE,WIDTH'
  )


def _stretch(image: np.ndarray, low: float, high: float) -> np.ndarray:
  _check_finite(image)
  low, span = float(low), float(high) - float(low)
  if not np.isfinite(span):
    raise ValueError('its values span more than a float can hold')
  if span <= 0:  # A flat image has no contrast to stretch.
    return np.zeros(image.shape, np.float32)
  return np.clip((image - low) / span, 0, 1).astype(np.float32)


def _check_finite(image: np.ndarray) -> None:
  if not np.isfinite(image).all():
    raise ValueError('it has values that are not finite')
