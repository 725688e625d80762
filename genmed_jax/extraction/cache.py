"""Extraction that is kept on disk: a killed run resumes, a second run reuses.

A folder per (images, network, preprocessing) holds one ``OUTPUT.npy`` per
output of the network, rows in source order. While rows are still being added
the file is called ``OUTPUT.part``: its header already describes the finished
array, its length says how many rows are there. Nothing else is recorded, so
there is nothing to disagree with the rows themselves.
"""

from collections.abc import Iterator
import contextlib
import fcntl
import hashlib
import io
import os
from pathlib import Path

from absl import logging
import numpy as np

from genmed_jax.data import versions
from genmed_jax.data.features import Features
from genmed_jax.data.source import Source
from genmed_jax.engine.mesh import local_share
from genmed_jax.extraction.extractor import Extractor


class CachedExtractor:
  """An extractor that finds what it has extracted before.

  Attributes:
    network: The extractor's network.
  """

  def __init__(self, extractor: Extractor, cache_dir: Path):
    """Points at the folder; touches nothing.

    Args:
      extractor: For images that are not there.
      cache_dir: Features are kept under ``features/`` in it.
    """
    self.network = extractor.network
    self._extractor = extractor
    self._folder = cache_dir / 'features'

  def __call__(self, source: Source) -> Features:
    """Features of this process's share of ``source``.

    Raises:
      DecodeError: if an image cannot be used and errors are not skipped.
      UsageError: if nothing is left, or the features are not finite.
    """
    rows = local_share(len(source))
    described = (
      versions.FEATURES,
      source.digest(rows),
      self.network.identity,
      self.network.taps,
      self._extractor.intensity,
    )
    key = hashlib.sha256(repr(described).encode()).hexdigest()
    cache = FeatureCache(
      self._folder / key, len(rows), self._extractor.outputs()
    )
    with cache.locked():
      if not cache.is_complete():
        self._fill(cache, source, rows)
    return self._extractor.features(source, rows, cache.load())

  def _fill(self, cache: 'FeatureCache', source: Source, rows: range) -> None:
    """Runs the images the cache does not hold yet."""
    with cache.writer(self._extractor.batch_size) as (done, append):
      for outputs in self._extractor.batches(source, rows, done):
        append(outputs)


class FeatureCache:
  """The rows of one set of images under one network."""

  def __init__(self, folder: Path, rows: int, outputs: dict[str, tuple]):
    """Points at ``folder``; touches nothing.

    Args:
      folder: The set's own folder.
      rows: How many rows the finished arrays have.
      outputs: As ``Extractor.outputs`` gives them.
    """
    self._folder = folder
    self._rows = rows
    self._outputs = outputs

  def is_complete(self) -> bool:
    """Whether every output is there whole."""
    return all(
      self._path(name).exists()
      and self._path(name).stat().st_size == self._size(name)
      for name in self._outputs
    )

  def load(self) -> dict[str, np.ndarray]:
    """The finished arrays, mapped from disk."""
    return {
      name: np.load(self._path(name), mmap_mode='r') for name in self._outputs
    }

  @contextlib.contextmanager
  def locked(self) -> Iterator[None]:
    """Holds the folder, so that two runs never write the same rows."""
    self._folder.mkdir(parents=True, exist_ok=True)
    with open(self._folder / 'lock', 'w') as lock:
      try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        logging.warning('another run is extracting the same features; waiting')
        fcntl.flock(lock, fcntl.LOCK_EX)
      yield

  @contextlib.contextmanager
  def writer(self, batch_size: int):
    """Opens the unfinished files where the last run stopped.

    Args:
      batch_size: Rows are resumed at a whole number of batches, so that a
        resumed run sees the batches an uninterrupted one would have.

    Yields:
      ``(rows already there, append)``, where ``append`` takes a dict of
      arrays ``[rows, width]``, one per output. On leaving, finished files get
      their final names.
    """
    with contextlib.ExitStack() as stack:
      files, starts, done = {}, {}, []
      for name in self._outputs:
        file = stack.enter_context(self._open(name))
        files[name] = file
        file.seek(0)
        starts[name] = file.write(self._header(name))
        there = file.seek(0, os.SEEK_END) - starts[name]
        done.append(there // self._row_bytes(name))
      resumed = min(done) // batch_size * batch_size
      for name, file in files.items():
        file.truncate(starts[name] + resumed * self._row_bytes(name))
        file.seek(0, os.SEEK_END)

      def append(values: dict[str, np.ndarray]) -> None:
        for name, file in files.items():
          dtype = self._outputs[name][1]
          file.write(np.ascontiguousarray(values[name], dtype).tobytes())
          file.flush()

      yield resumed, append
      for file in files.values():
        os.fsync(file.fileno())
    for name in self._outputs:
      os.replace(self._path(name, '.part'), self._path(name))

  def _path(self, name: str, suffix: str = '.npy') -> Path:
    return self._folder / f'{name}{suffix}'

  def _open(self, name: str):
    path = self._path(name, '.part')
    return open(path, 'r+b' if path.exists() else 'w+b')

  def _header(self, name: str) -> bytes:
    """The finished array's header."""
    width, dtype = self._outputs[name]
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
      header,
      {
        'descr': np.lib.format.dtype_to_descr(np.dtype(dtype)),
        'fortran_order': False,
        'shape': (self._rows, width) if width else (self._rows,),
      },
    )
    return header.getvalue()

  def _size(self, name: str) -> int:
    return len(self._header(name)) + self._rows * self._row_bytes(name)

  def _row_bytes(self, name: str) -> int:
    width, dtype = self._outputs[name]
    return max(width, 1) * np.dtype(dtype).itemsize
