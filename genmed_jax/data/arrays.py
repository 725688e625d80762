"""Sources that are numpy arrays: stacks of images, and ready features."""

from pathlib import Path

import numpy as np

from genmed_jax.data.source import file_stamp, Source, StoredFeatures
from genmed_jax.errors import UsageError
from genmed_jax.features import BESIDE

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
    return stack(name, _images(path, arrays['images']), file_stamp(path), {})
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
  return StoredFeatures(name, ids, numbers, {}, features, beside)


def stack(
  name: str, images: np.ndarray, stamp: str, labels: dict[str, np.ndarray]
) -> Source:
  """A source of the images ``[n, h, w, ...]`` of one array."""
  numbers = np.arange(len(images))
  return Source(
    name,
    [str(number) for number in numbers],
    numbers,
    [f'{stamp} {number}' for number in numbers],
    labels,
    lambda i: images[i].reshape(*images.shape[1:3], -1),
  )


def _read(path: Path) -> dict[str, np.ndarray]:
  """The arrays of the file that mean something to us."""
  if path.suffix == '.npy':
    array = np.lib.format.open_memmap(path, mode='r')
    return {'features' if array.ndim == 2 else 'images': array}
  with np.load(path, allow_pickle=False) as archive:
    known = 'images', 'features', *BESIDE
    keys = [key for key in known if key in archive.files]
    if not {'images', 'features'} & set(keys):
      raise UsageError(
        f'{path}: needs the key images or features; it has '
        f'{", ".join(archive.files) or "none"}'
      )
    return {key: archive[key] for key in keys}


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
