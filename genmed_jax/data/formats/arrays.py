"""Arrays: stacks of images, and features that skip the network."""

from collections.abc import Callable
import functools
import hashlib
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from genmed_jax.data.features import Features
from genmed_jax.data.source import file_stamp, Source
from genmed_jax.engine.feature_set import OUTPUTS
from genmed_jax.errors import UsageError

SUFFIXES = ('.npz', '.npy')

# What is read of a .npz, beside columns of labels.
_KNOWN = ('images', 'masks', 'features', *OUTPUTS)
_LABELS = 'Uiub'  # Strings and whole numbers.
# Beyond this the cube of a product of features, as the KID takes it,
# overflows.
_LARGEST = 1e30


def open_file(name: str, path: Path) -> Source | Features:
  """Opens a ``.npz`` or ``.npy`` file of images or of features.

  Raises:
    UsageError: if it cannot be read or holds neither.
  """
  try:
    found = _read(path)
  except UsageError:
    raise
  except Exception as error:  # numpy raises of every kind on broken files.
    raise UsageError(f'{path}: cannot be read as numpy arrays') from error
  if 'images' not in found:
    return _features(name, path, found)
  images = _images(path, _native(found['images']))
  masks = _masks(path, found['masks'], images) if 'masks' in found else None
  stamp = file_stamp(path)
  labels = _labels(found, len(images))
  return stack(name, images, lambda i: f'{stamp} {i}', labels, masks)


def open_array(name: str, given: Any) -> Source | Features:
  """Opens an array: a matrix holds features, anything deeper images.

  Images are known by their content, which is hashed when a cache asks for it.

  Raises:
    UsageError: if it is neither.
  """
  try:
    array = np.asarray(given)
  except Exception as error:  # Each library of arrays has its own.
    raise UsageError(f'{name}: cannot be read as an array') from error
  if jnp.issubdtype(array.dtype, jnp.bfloat16):
    array = array.astype(np.float32)
  array = _native(array)
  if array.ndim == 2:
    return _features(name, name, {'features': array})
  images = _images(name, array)

  @functools.cache
  def stamp(i: int) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(images[i]))
    return f'{images.dtype} {images.shape[1:]} {digest.hexdigest()}'

  return stack(name, images, stamp, {})


def stack(
  name: str,
  images: np.ndarray,
  stamp: Callable[[int], str],
  labels: dict[str, np.ndarray],
  masks: np.ndarray | None = None,
) -> Source:
  """A source of one array of images ``[n, h, w, ...]``, and one of masks.

  Args:
    name: Name of the set.
    images: The images.
    stamp: Place of an image to a text that identifies its content.
    labels: Column to ``[n]`` strings.
    masks: ``[n, h, w]``, nonzero in the region of interest.
  """
  numbers = np.arange(len(images))
  return Source(
    name,
    [str(number) for number in numbers],
    numbers,
    stamp,
    labels,
    lambda i: images[i].reshape(*images.shape[1:3], -1),
    None if masks is None else lambda i: masks[i] > 0,
  )


def _native(array: np.ndarray) -> np.ndarray:
  """The array in the byte order of this machine."""
  return array.astype(array.dtype.newbyteorder('='), copy=False)


def _features(name: str, path: Any, found: dict[str, np.ndarray]) -> Features:
  values = _matrix(path, 'features', found['features'])
  outputs = {
    key: _matrix(path, key, found[key]) for key in OUTPUTS if key in found
  }
  for key, output in outputs.items():
    if len(output) != len(values):
      raise UsageError(
        f'{path}: {len(output)} rows of {key} for {len(values)} of features'
      )
  numbers = np.arange(len(values))
  ids = [str(number) for number in numbers]
  return Features(
    name, values, outputs, numbers, ids, _labels(found, len(values))
  )


def _read(path: Path) -> dict[str, np.ndarray]:
  """The arrays of the file that mean something to us."""
  if path.suffix == '.npy':
    array = np.lib.format.open_memmap(path, mode='r')
    return {'features' if array.ndim == 2 else 'images': array}
  with np.load(path, allow_pickle=False) as archive:
    if not {'images', 'features'} & set(archive.files):
      raise UsageError(
        f'{path}: needs the key images or features; it has '
        f'{", ".join(archive.files) or "none"}'
      )
    return {key: archive[key] for key in archive.files if _reads(archive, key)}


def _reads(archive, key: str) -> bool:
  """Whether an array is known by name, or may be a column of labels."""
  if key in _KNOWN:
    return True
  if f'{key}.npy' not in archive.zip.namelist():
    return False
  with archive.zip.open(f'{key}.npy') as file:
    if np.lib.format.read_magic(file) != (1, 0):
      return False  # No plain array.
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
  return len(shape) == 1 and dtype.kind in _LABELS


def _labels(arrays: dict[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
  """Arrays of n strings or whole numbers, each a column of strings."""
  return {
    key: values.astype(str)
    for key, values in arrays.items()
    if values.dtype.kind in _LABELS and values.shape == (n,)
  }


def _masks(path: Any, masks: np.ndarray, images: np.ndarray) -> np.ndarray:
  if masks.shape != images.shape[:3] or masks.dtype.kind not in 'bui':
    raise UsageError(
      f'{path}: masks must be integers {list(images.shape[:3])}, as the images '
      f'are; these are {list(masks.shape)} of {masks.dtype}'
    )
  return masks


def _images(path: Any, images: np.ndarray) -> np.ndarray:
  channels = images.shape[3:]
  if images.ndim not in (3, 4) or channels not in ((), (1,), (3,)):
    raise UsageError(
      f'{path}: images are [n, h, w] or [n, h, w, 1 or 3], features [n, d]; '
      f'this is {list(images.shape)}'
    )
  if 0 in images.shape[1:] or images.dtype.kind not in 'buif':
    raise UsageError(
      f'{path}: {list(images.shape)} of {images.dtype} are no images'
    )
  return images


def _matrix(path: Any, key: str, values: np.ndarray) -> np.ndarray:
  """Features or other outputs, ``[n, d]`` float32 or float64."""
  if values.ndim != 2 or values.shape[1] == 0:
    raise UsageError(
      f'{path}: {key} must be [n, d], this is {list(values.shape)}'
    )
  if values.dtype.kind != 'f':
    raise UsageError(f'{path}: {key} must be floats, not {values.dtype}')
  if values.dtype != np.float64:
    values = values.astype(np.float32)
  if bad := int(np.sum(~np.isfinite(values).all(axis=1))):
    raise UsageError(f'{path}: {bad} rows of {key} are not finite')
  if len(values) and np.abs(values).max() > _LARGEST:
    raise UsageError(f'{path}: {key} are larger than {_LARGEST:g}')
  return values
