"""Images through a network, batch by batch, on every device of this process.

Each process extracts its own share of a set on its own devices, one program
per device, and keeps it in the feature cache: extraction needs no other
process. The rows meet those of other processes only when a metric lays them
over the mesh.
"""

import collections
import functools
import hashlib
from pathlib import Path

from absl import logging
import jax
import numpy as np
import tqdm

from genmed_jax.data import decode, loader, versions
from genmed_jax.data.features import BESIDE, Features
from genmed_jax.data.source import Source
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.errors import DecodeError, UsageError
from genmed_jax.extraction.cache import FeatureCache
from genmed_jax.networks import FeatureNetwork
from genmed_jax.networks.preprocess import preprocess

IN_FLIGHT = 2  # Batches computing while the next is being decoded.


class Extractor:
  """A network compiled over this process's devices."""

  def __init__(
    self,
    network: FeatureNetwork,
    *,
    cache_dir: Path,
    intensity: str = 'dtype',
    batch_size: int | None = None,
    on_error: str = 'fail',
    workers: int | None = None,
  ):
    """Prepares extraction.

    Args:
      network: From ``networks.load``.
      cache_dir: Features are kept under ``features/`` in it.
      intensity: As ``--intensity``.
      batch_size: Images in a step over all devices of this process, rounded
        up to a multiple of them; ``mesh.default_batch_size`` if None.
      on_error: ``fail`` or ``skip``.
      workers: Decoding threads; two per core if None.
    """
    self.network = network
    self._mesh = mesh_lib.data_mesh(jax.local_devices())
    devices = self._mesh.devices.size
    batch_size = batch_size or mesh_lib.default_batch_size(self._mesh)
    self._batch_size = -(-batch_size // devices) * devices
    self._cache_dir = cache_dir
    self._intensity = intensity
    self._to_unit = decode.parse_intensity(intensity)
    self._skip = on_error == 'skip'
    self._workers = workers or loader.WORKERS
    self._state = mesh_lib.replicate(self._mesh, network.state)
    self._preprocess = self._compile(
      functools.partial(preprocess, config=network.preprocess),
      (mesh_lib.ROWS, mesh_lib.ROWS),
    )
    self._apply = self._compile(
      network.apply,
      (mesh_lib.REPLICATED, mesh_lib.ROWS),
      mesh_lib.network_options(self._mesh),
    )

  def _compile(self, function, in_specs, options=None):
    """One program per device over the rows of a batch."""
    sharded = jax.shard_map(
      function, mesh=self._mesh, in_specs=in_specs, out_specs=mesh_lib.ROWS
    )
    return jax.jit(sharded, compiler_options=options)

  def __call__(self, source: Source) -> Features:
    """Features of this process's share of ``source``.

    Raises:
      DecodeError: if an image cannot be used and errors are not skipped.
      UsageError: if nothing is left, or the features are not finite.
    """
    rows = mesh_lib.local_share(len(source))
    cache = self._cache(source, rows)
    with cache.locked():
      if not cache.is_complete():
        self._fill(cache, source, rows)
    arrays = cache.load()
    decoded = np.flatnonzero(arrays.pop('decoded'))
    for row in np.setdiff1d(np.arange(len(rows)), decoded):
      broken = f'{source.name}: {source.ids[rows[row]]} cannot be used'
      if not self._skip:
        raise DecodeError(f'{broken} (--on_error=skip leaves it out)')
      logging.warning('%s and is left out', broken)
    values = arrays[self.network.tap]
    features = Features(
      source.name,
      values,
      {
        tap: arrays[tap]
        for tap in BESIDE
        if tap in arrays and tap != self.network.tap
      },
      source.numbers[rows.start : rows.stop],
      list(source.ids[rows.start : rows.stop]),
      {c: v[rows.start : rows.stop] for c, v in source.labels.items()},
      skipped=len(rows) - len(decoded),
    )
    if features.skipped:
      features = features.take(decoded)
    _check_finite(features, self.network.name)
    return features

  def _cache(self, source: Source, rows: range) -> FeatureCache:
    described = (
      versions.FEATURES,
      source.digest(rows),
      self.network.identity,
      self.network.taps,
      self._intensity,
    )
    key = hashlib.sha256(repr(described).encode()).hexdigest()
    side = self.network.preprocess.size
    image = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    shapes = jax.eval_shape(self.network.apply, self.network.state, image)
    outputs = {tap: (s.shape[1], 'float32') for tap, s in shapes.items()}
    outputs['decoded'] = (0, 'bool')
    return FeatureCache(self._cache_dir / 'features' / key, len(rows), outputs)

  def _fill(self, cache: FeatureCache, source: Source, rows: range) -> None:
    """Runs the images the cache does not hold yet."""
    with (
      cache.writer(self._batch_size) as (done, append),
      tqdm.tqdm(
        desc=f'{source.name} -> {self.network.name}',
        total=len(rows),
        initial=done,
        unit='image',
        leave=None,  # Not under the bar of a study.
        disable=jax.process_index() != 0,
      ) as progress,
    ):
      pending = collections.deque()

      def finish(batch, outputs):
        values = {
          tap: mesh_lib.local_rows(output)[: batch.count]
          for tap, output in outputs.items()
        }
        append(values | {'decoded': batch.decoded[: batch.count]})
        progress.update(batch.count)

      for batch in loader.batches(
        source,
        rows[done:],
        self._batch_size,
        self._to_unit,
        workers=self._workers,
      ):
        if batch.errors and not self._skip:
          raise DecodeError(batch.errors[0])
        images = mesh_lib.to_mesh(self._mesh, batch.images)
        sizes = mesh_lib.to_mesh(self._mesh, batch.sizes)
        inputs = self._preprocess(images, sizes)
        pending.append((batch, self._apply(self._state, inputs)))
        if len(pending) > IN_FLIGHT:
          finish(*pending.popleft())
      while pending:
        finish(*pending.popleft())


def _check_finite(features: Features, network: str) -> None:
  if len(features.values) == 0:
    raise UsageError(f'{features.name}: no image could be used')
  finite = np.isfinite(features.values).all(axis=1)
  if not finite.all():
    raise UsageError(
      f'{features.name}: {network} gives features that are not finite for '
      f'{np.sum(~finite)} images'
    )
