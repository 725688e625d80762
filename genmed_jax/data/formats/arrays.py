"""Sources that are numpy arrays: stacks of images, and ready features."""

from pathlib import Path

import numpy as np

from genmed_jax.data.features import BESIDE
from genmed_jax.data.source import file_stamp, Source, StoredFeatures
from genmed_jax.errors import UsageError

# What is read of a .npz, beside columns of strings.
_KNOWN = ('images', 'masks', 'features', *BESIDE)
# Beyond this the cube of a product of features, as the KID takes it,
# overflows.
_LARGEST = 1e30


def open_arrays(name: str, path: Path) -> Source | StoredFeatures:
  """Opens a ``.npz`` or ``.npy`` file of images or of features.

  Raises:
    UsageError: if it cannot be read or holds neither.
  """
  try:
    arrays = _read(path)
  except UsageError:
    raise
  except Exception as error:  # numpy raises of every kind on broken files.
    raise UsageError(f'{path}: cannot be read as numpy arrays') from error
  if 'images' in arrays:
    images = _images(path, arrays['images'])
    masks = _masks(path, arrays['masks'], images) if 'masks' in arrays else None
    labels = _labels(arrays, len(images))
    return stack(name, images, file_stamp(path), labels, masks)
  features = _matrix(path, 'features', arrays['features'])
  beside = {
    tap: _matrix(path, tap, arrays[tap]) for tap in BESIDE if tap in arrays
  }
  for tap, values in beside.items():
    if len(values) != len(features):
      raise UsageError(
        f'{path}: {len(values)} rows of {tap} for {len(features)} of features'
      )
  numbers = np.arange(len(features))
  ids = [str(number) for number in numbers]
  labels = _labels(arrays, len(features))
  return StoredFeatures(name, ids, numbers, labels, features, beside)


def stack(
  name: str,
  images: np.ndarray,
  stamp: str,
  labels: dict[str, np.ndarray],
  masks: np.ndarray | None = None,
) -> Source:
  """A source of one array of images ``[n, h, w, ...]``, and one of masks."""
  numbers = np.arange(len(images))
  return Source(
    name,
    [str(number) for number in numbers],
    numbers,
    [f'{stamp} {number}' for number in numbers],
    labels,
    lambda i: images[i].reshape(*images.shape[1:3], -1),
    None if masks is None else lambda i: masks[i] > 0,
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
  """Whether an array is known by name, or a column of strings."""
  if key in _KNOWN:
    return True
  if f'{key}.npy' not in archive.zip.namelist():
    return False
  with archive.zip.open(f'{key}.npy') as file:
    if np.lib.format.read_magic(file) != (1, 0):
      return False  # No plain array.
    _, _, dtype = np.lib.format.read_array_header_1_0(file)
  return dtype.kind == 'U'


def _labels(arrays: dict[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
  """Arrays of n strings, each a column."""
  return {
    key: values
    for key, values in arrays.items()
    if values.dtype.kind == 'U' and values.shape == (n,)
  }


def _masks(path: Path, masks: np.ndarray, images: np.ndarray) -> np.ndarray:
  if masks.shape != images.shape[:3] or masks.dtype.kind not in 'bui':
    raise UsageError(
      f'{path}: masks must be integers {list(images.shape[:3])}, as the images '
      f'are; these are {list(masks.shape)} of {masks.dtype}'
    )
  return masks


def _images(path: Path, images: np.ndarray) -> np.ndarray:
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


def _matrix(path: Path, key: str, values: np.ndarray) -> np.ndarray:
  """Features or outputs beside them, ``[n, d]`` float32 or float64."""
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
