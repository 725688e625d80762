"""Images in files under one root."""

from pathlib import Path

import numpy as np

from genmed_jax.data.decode import image_size, read_image
from genmed_jax.data.source import file_stamp, Source
from genmed_jax.errors import DecodeError, UsageError


def files_source(
  name: str,
  root: Path,
  ids: list[str],
  labels: dict[str, np.ndarray],
  masks: list[str] | None = None,
) -> Source:
  """A source of files under ``root``.

  Args:
    name: Name of the set.
    root: Folder of the files.
    ids: Their relative paths.
    labels: Column to ``[n]`` strings.
    masks: Relative paths of the masks, empty for images without one.

  Raises:
    UsageError: if a file is not there.
  """
  stamps = []
  for item in ids:
    path = root / item
    if not path.is_file():
      raise UsageError(f'{name}: {item!r} is not a file in {root}')
    stamps.append(f'{item} {file_stamp(path)}')
  numbers = np.arange(len(ids))
  read = lambda i: read_image(root / ids[i])  # noqa: E731
  read_mask = masks and (lambda i: _read_mask(root, ids[i], masks[i]))
  return Source(name, ids, numbers, stamps.__getitem__, labels, read, read_mask)


def _read_mask(root: Path, item: str, mask: str) -> np.ndarray:
  """Pixels of the mask that are not black; none where there is no mask.

  Raises:
    DecodeError: if the mask cannot be used.
  """
  size = image_size(root / item)
  if not mask:
    return np.zeros(size, bool)
  try:
    pixels = read_image(root / mask)
  except Exception as error:  # Decoders raise of every kind on broken files.
    raise DecodeError(f'{mask} cannot be used: {error}') from error
  if pixels.shape[:2] != size:
    raise DecodeError(
      f'{mask} cannot be used: it is {pixels.shape[:2]}, its image {size}'
    )
  return (pixels > 0).any(axis=2)
