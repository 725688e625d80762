"""Sources that are numpy arrays: stacks of images, and ready features."""

from pathlib import Path

import numpy as np

from genmed_jax.data.source import Source, StoredFeatures


def open_arrays(name: str, path: Path) -> Source | StoredFeatures:
  """Opens a ``.npz`` or ``.npy`` file of images or of features.

  Raises:
    ValueError: if it cannot be read or holds neither.
  """
  try:
    loaded = np.load(path, mmap_mode='r', allow_pickle=False)
    keys = {None: loaded} if path.suffix == '.npy' else dict(loaded)
  except (ValueError, OSError, EOFError) as error:
    raise ValueError(f'{path}: cannot be read as numpy arrays') from error
  array = keys.get(None)
  if array is None:
    array = keys.get('images', keys.get('features'))
  if array is None:
    raise ValueError(
      f'{path}: needs the key images or features; it has {", ".join(keys)}'
    )
  ids = [str(i) for i in range(len(array))]
  if array.ndim == 2:
    return StoredFeatures(
      name, ids, {}, _checked_features(path, array), keys.get('logits')
    )
  if array.ndim != 3 and array.shape[3:] not in ((1,), (3,)):
    raise ValueError(
      f'{path}: images are [n, h, w] or [n, h, w, 1 or 3], features [n, d]; '
      f'this is {list(array.shape)}'
    )
  status = path.stat()
  stamp = f'{path.name} {status.st_size} {status.st_mtime_ns}'
  return stack(name, array, stamp, {})


def _checked_features(path: Path, features: np.ndarray) -> np.ndarray:
  if not np.issubdtype(features.dtype, np.floating):
    raise ValueError(f'{path}: features must be floats, not {features.dtype}')
  if bad := int(np.sum(~np.isfinite(features).all(axis=1))):
    raise ValueError(f'{path}: {bad} rows of features are not finite')
  if features.dtype == np.float16:
    return features.astype(np.float32)
  return features


def stack(
  name: str, images: np.ndarray, stamp: str, labels: dict[str, np.ndarray]
) -> Source:
  """A source of the images ``[n, h, w, ...]`` of one array."""
  numbers = [str(i) for i in range(len(images))]
  return Source(
    name,
    numbers,
    [f'{stamp} {number}' for number in numbers],
    labels,
    lambda i: images[i].reshape(*images.shape[1:3], -1),
  )
