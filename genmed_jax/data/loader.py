"""Threads that decode ahead of the device, into batches of one shape."""

import collections
from collections.abc import Callable, Iterator
import concurrent.futures
import hashlib
import os
from typing import NamedTuple

import numpy as np

from genmed_jax.data.intensity import as_float
from genmed_jax.data.source import Source
from genmed_jax.errors import DecodeError, RunError

WORKERS = 2 * (os.cpu_count() or 1)  # Decoding threads.
HASH = 16  # Bytes of the hash of an image's pixels.
PREFETCH = 2  # Batches decoded ahead of the one being used.
_LARGEST_CANVAS = 1 << 32  # Bytes.


class Batch(NamedTuple):
  """One batch.

  Attributes:
    images: Canvas ``[b, H, W, c]``, each image in its top left corner;
      unsigned integers over their range, or floats in [0, 1].
    sizes: ``[b, 2]`` int32, height and width of each; 1 x 1 for padding.
    decoded: ``[b]`` bool: False for padding and for what failed.
    pixels: ``[b, HASH]`` uint8, :func:`pixel_hash` of each.
    count: How many rows are not padding.
    errors: What went wrong, for each image that failed.
  """

  images: np.ndarray
  sizes: np.ndarray
  decoded: np.ndarray
  pixels: np.ndarray
  count: int
  errors: list[str]


def batches(
  source: Source,
  rows: range,
  batch_size: int,
  intensity: Callable[[np.ndarray], np.ndarray],
  *,
  workers: int,
) -> Iterator[Batch]:
  """Decodes ``rows`` of ``source`` in order, ahead of the caller.

  At most :data:`PREFETCH` batches wait, whatever the set's size. The sides of
  a canvas are rounded up, so that sets of mixed sizes have few shapes and few
  compilations, and depend on the batch's own images alone, so that a resumed
  run sees the batches of an uninterrupted one.

  Args:
    source: Where from.
    rows: Which images.
    batch_size: Rows of every batch; the last one is padded.
    intensity: From :func:`intensity.parse_intensity`.
    workers: Threads.

  Yields:
    :class:`Batch`.

  Raises:
    OSError: if a file could not be read at all, which says nothing about it.
    RunError: if images are too unlike in shape for one canvas.
  """
  starts = range(rows.start, rows.stop, batch_size)
  waiting = collections.deque()
  with concurrent.futures.ThreadPoolExecutor(workers) as pool:
    try:
      for start in starts:
        stop = min(start + batch_size, rows.stop)
        waiting.append(
          [
            pool.submit(_read, source, row, intensity)
            for row in range(start, stop)
          ]
        )
        if len(waiting) > PREFETCH:
          yield _stack(waiting.popleft(), batch_size)
      while waiting:
        yield _stack(waiting.popleft(), batch_size)
    finally:
      pool.shutdown(cancel_futures=True)


def pixel_hash(image: np.ndarray) -> np.ndarray:
  """Hash of an image ``[h, w, c]``, ``[HASH]`` uint8, equal for copies alone.

  Depth counts; equal channels are as good as one, and it makes no difference
  how a value is stored.
  """
  if image.dtype == bool:
    image = image * np.uint8(255)
  elif image.dtype.kind == 'f':
    image = image.astype(np.float32) + np.float32(0)  # No zero is negative.
  image = image.astype(image.dtype.newbyteorder('='), copy=False)
  if (image == image[:, :, :1]).all():
    image = image[:, :, :1]
  digest = hashlib.blake2b(
    f'{image.dtype} {image.shape}'.encode(), digest_size=HASH
  )
  digest.update(np.ascontiguousarray(image))
  return np.frombuffer(digest.digest(), np.uint8)


def _read(source, row, intensity) -> tuple[np.ndarray, np.ndarray]:
  """An image and the hash of its pixels, before their mapping."""
  try:
    image = source.read(row)
    return intensity(image), pixel_hash(image)
  except Exception as error:  # Decoders raise of every kind on broken files.
    if isinstance(error, OSError) and error.errno is not None:
      raise  # The disk's fault, or the system's: the file may be sound.
    reason = str(error) or type(error).__name__
    raise DecodeError(
      f'{source.name}: {source.ids[row]} cannot be used: {reason}'
    ) from error


def _stack(pending, batch_size: int) -> Batch:
  images, errors = [], []
  pixels = np.zeros((batch_size, HASH), np.uint8)
  for row, future in enumerate(pending):
    try:
      image, pixels[row] = future.result()
      images.append(image)
    except DecodeError as error:
      errors.append(str(error))
      images.append(None)
  decoded = [image for image in images if image is not None]
  height, width = (
    _roomy(max((image.shape[axis] for image in decoded), default=1))
    for axis in (0, 1)
  )
  channels = max((image.shape[2] for image in decoded), default=1)
  dtypes = {image.dtype for image in decoded} or {np.dtype(np.uint8)}
  dtype = dtypes.pop() if len(dtypes) == 1 else np.dtype(np.float32)
  shape = (batch_size, height, width, channels)
  if np.prod(shape, dtype=float) * dtype.itemsize > _LARGEST_CANVAS:
    raise RunError(
      f'a batch of {batch_size} images up to {height} x {width} is too large '
      'to hold: lower `batch_size`'
    )
  canvas = np.zeros(shape, dtype)
  sizes = np.ones((batch_size, 2), np.int32)
  for row, image in enumerate(images):
    if image is not None:
      sizes[row] = image.shape[:2]
      canvas[row, : sizes[row, 0], : sizes[row, 1]] = (
        image if image.dtype == dtype else as_float(image)
      )
  mask = np.zeros(batch_size, bool)
  mask[: len(images)] = [image is not None for image in images]
  return Batch(canvas, sizes, mask, pixels, len(images), errors)


def _roomy(side: int) -> int:
  """``side`` rounded up by a quarter at most: 64, 128, ..., 512, 640, ..."""
  step = max(64, (1 << side.bit_length()) >> 3)
  return -(-side // step) * step
