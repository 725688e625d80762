"""Images through a network, batch by batch, on every device of this process.

Each process extracts its own share of a set on its own devices, one program
per device: extraction needs no other process. The rows meet those of other
processes only when a metric lays them over the mesh.
"""

import collections
from collections.abc import Iterator
import dataclasses
import functools

from absl import logging
import jax
import numpy as np

from genmed_jax.data import loader
from genmed_jax.data.features import Features
from genmed_jax.data.intensity import parse_intensity
from genmed_jax.data.source import Source
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.feature_set import OUTPUTS, PIXELS
from genmed_jax.engine.platforms import platform_of
from genmed_jax.engine.progress import progress
from genmed_jax.errors import DecodeError, UsageError
from genmed_jax.networks.base import FeatureNetwork
from genmed_jax.networks.preprocess import preprocess

IN_FLIGHT = 2  # Batches computing while the next is being decoded.
# Outputs of every network: whether an image could be used, and how far its
# features lie from those that it has in another slot of the batch; the latter
# is measured in the first batch, and 0 in the others.
DECODED = 'decoded'
MOVED = 'moved'


class Extractor:
  """A network compiled over this process's devices.

  Attributes:
    network: The network.
    intensity: Mapping of pixels to [0, 1], as text.
    batch_size: Images in a step over all devices of this process.
  """

  def __init__(
    self,
    network: FeatureNetwork,
    *,
    intensity: str = 'dtype',
    batch_size: int | None = None,
    on_error: str = 'fail',
    workers: int | None = None,
  ):
    """Prepares extraction.

    Args:
      network: From ``networks.load``.
      intensity: Mapping of pixels to [0, 1], as ``intensity.parse_intensity``
        reads it.
      batch_size: Images in a step over all devices of this process, rounded
        up to a multiple of them; ``platforms.Platform.images`` of each if None.
      on_error: ``fail`` or ``skip``.
      workers: Decoding threads; two per core if None.
    """
    self.network = network
    self.intensity = intensity
    self._mesh = mesh_lib.data_mesh(jax.local_devices())
    devices = self._mesh.devices.size
    batch_size = batch_size or platform_of(self._mesh).images * devices
    self.batch_size = -(-batch_size // devices) * devices
    self._to_unit = parse_intensity(intensity)
    self._skip = on_error == 'skip'
    self._workers = workers or loader.WORKERS
    self._moved = 0.0  # As far as features have been seen to move.
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
    batches = list(self.batches(source, rows, measured=self._moved > 0))
    arrays = {
      name: np.concatenate([batch[name] for batch in batches])
      for name in (batches[0] if batches else ())
    } or {
      name: np.empty((0, width) if width else 0, dtype)
      for name, (width, dtype) in self.outputs().items()
    }
    features = self.features(source, rows, arrays)
    self._moved = max(self._moved, features.moved)
    return dataclasses.replace(features, moved=self._moved)

  def outputs(self) -> dict[str, tuple[int, str]]:
    """Width (0 for a scalar) and dtype of every output, by its name."""
    side = self.network.preprocess.size
    image = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    shapes = jax.eval_shape(self.network.apply, self.network.state, image)
    outputs = {tap: (s.shape[1], 'float32') for tap, s in shapes.items()}
    return outputs | {
      DECODED: (0, 'bool'),
      PIXELS: (loader.HASH, 'uint8'),
      MOVED: (0, 'float32'),
    }

  def batches(
    self, source: Source, rows: range, done: int = 0, *, measured: bool = False
  ) -> Iterator[dict[str, np.ndarray]]:
    """Outputs of the images of ``rows`` after the first ``done``, by batches.

    Args:
      source: Where from.
      rows: Which images.
      done: How many of them are there already.
      measured: Whether it is known how far features move.

    Yields:
      Name to ``[b, width]``, or ``[b]``, of all :meth:`outputs`.

    Raises:
      DecodeError: if an image cannot be used and errors are not skipped.
    """
    with progress(
      desc=f'{source.name} -> {self.network.name}',
      total=len(rows),
      initial=done,
      unit='image',
    ) as bar:
      pending = collections.deque()

      def finished() -> dict[str, np.ndarray]:
        batch, outputs, rolled = pending.popleft()
        values = {tap: mesh_lib.local_rows(v) for tap, v in outputs.items()}
        values |= {
          DECODED: batch.decoded,
          PIXELS: batch.pixels,
          MOVED: self._moves(outputs, rolled),
        }
        bar.update(batch.count)
        return {name: value[: batch.count] for name, value in values.items()}

      for batch in loader.batches(
        source,
        rows[done:],
        self.batch_size,
        self._to_unit,
        workers=self._workers,
      ):
        if batch.errors and not self._skip:
          raise DecodeError(batch.errors[0])
        given = batch.images, batch.sizes
        outputs, rolled = self._run(*given), None
        if done == 0 and not measured:
          half = self.batch_size // 2
          rolled = self._run(*(np.roll(each, half, axis=0) for each in given))
        done += batch.count
        pending.append((batch, outputs, rolled))
        if len(pending) > IN_FLIGHT:
          yield finished()
      while pending:
        yield finished()

  def _run(self, images: np.ndarray, sizes: np.ndarray) -> dict:
    """Outputs of a batch, on the devices."""
    images, sizes = (mesh_lib.to_mesh(self._mesh, v) for v in (images, sizes))
    return self._apply(self._state, self._preprocess(images, sizes))

  def _moves(self, outputs: dict, rolled: dict | None) -> np.ndarray:
    """Distances of a batch's features from those of it rolled, ``[b]``."""
    if rolled is None:
      return np.zeros(self.batch_size, np.float32)
    here, there = (
      mesh_lib.local_rows(each[self.network.tap]) for each in (outputs, rolled)
    )
    there = np.roll(there, -(self.batch_size // 2), 0)
    return np.linalg.norm(here - there, axis=1)

  def features(
    self, source: Source, rows: range, arrays: dict[str, np.ndarray]
  ) -> Features:
    """The features that the outputs of all of ``rows`` hold.

    Args:
      source: The images.
      rows: Those of this process.
      arrays: From :meth:`batches`, one after the other.

    Raises:
      DecodeError: if an image cannot be used and errors are not skipped.
      UsageError: if nothing is left, or the features are not finite.
    """
    decoded = np.flatnonzero(arrays[DECODED])
    for row in np.setdiff1d(np.arange(len(rows)), decoded):
      broken = f'{source.name}: {source.ids[rows[row]]} cannot be used'
      if not self._skip:
        raise DecodeError(f"{broken} (`on_error='skip'` leaves it out)")
      logging.warning('%s and is left out', broken)
    features = Features(
      source.name,
      arrays[self.network.tap],
      {name: arrays[name] for name in (*OUTPUTS, PIXELS) if name in arrays},
      source.numbers[rows.start : rows.stop],
      list(source.ids[rows.start : rows.stop]),
      {c: v[rows.start : rows.stop] for c, v in source.labels.items()},
      skipped=len(rows) - len(decoded),
      moved=float(arrays[MOVED].max(initial=0)),
    )
    if features.skipped:
      features = features.take(decoded)
    if len(rows):  # Else the set has fewer images than there are processes.
      _check_finite(features, self.network.name)
    return features


def _check_finite(features: Features, network: str) -> None:
  if len(features) == 0:
    raise UsageError(f'{features.name}: no image could be used')
  finite = np.isfinite(features.values).all(axis=1)
  if not finite.all():
    raise UsageError(
      f'{features.name}: {network} gives features that are not finite for '
      f'{np.sum(~finite)} images'
    )
