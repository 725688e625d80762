"""Images through a network, batch by batch, on every device of this process.

Each process extracts its own share of a set on its own devices, one program
per device: extraction needs no other process. The rows meet those of other
processes only when a metric lays them over the mesh.
"""

import collections
from collections.abc import Iterator
import functools

from absl import logging
import jax
import numpy as np

from genmed_jax.data import loader
from genmed_jax.data.features import Features
from genmed_jax.data.intensity import parse_intensity
from genmed_jax.data.source import Source
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.feature_set import OUTPUTS
from genmed_jax.engine.platforms import platform_of
from genmed_jax.engine.progress import progress
from genmed_jax.errors import DecodeError, UsageError
from genmed_jax.networks.base import FeatureNetwork
from genmed_jax.networks.preprocess import preprocess

IN_FLIGHT = 2  # Batches computing while the next is being decoded.
DECODED = 'decoded'  # Output that says which images could be used.


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
    batches = list(self.batches(source, rows))
    arrays = {
      name: np.concatenate([batch[name] for batch in batches])
      for name in (batches[0] if batches else ())
    } or {
      name: np.empty((0, width) if width else 0, dtype)
      for name, (width, dtype) in self.outputs().items()
    }
    return self.features(source, rows, arrays)

  def outputs(self) -> dict[str, tuple[int, str]]:
    """Width (0 for a scalar) and dtype of every output, by its name."""
    side = self.network.preprocess.size
    image = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    shapes = jax.eval_shape(self.network.apply, self.network.state, image)
    outputs = {tap: (s.shape[1], 'float32') for tap, s in shapes.items()}
    return outputs | {DECODED: (0, 'bool')}

  def batches(
    self, source: Source, rows: range, done: int = 0
  ) -> Iterator[dict[str, np.ndarray]]:
    """Outputs of the images of ``rows`` after the first ``done``, by batches.

    Yields:
      Name to ``[b, width]`` of every output, and :data:`DECODED` ``[b]``.

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
        batch, outputs = pending.popleft()
        values = {
          tap: mesh_lib.local_rows(output)[: batch.count]
          for tap, output in outputs.items()
        }
        bar.update(batch.count)
        return values | {DECODED: batch.decoded[: batch.count]}

      for batch in loader.batches(
        source,
        rows[done:],
        self.batch_size,
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
          yield finished()
      while pending:
        yield finished()

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
      {tap: arrays[tap] for tap in OUTPUTS if tap in arrays},
      source.numbers[rows.start : rows.stop],
      list(source.ids[rows.start : rows.stop]),
      {c: v[rows.start : rows.stop] for c, v in source.labels.items()},
      skipped=len(rows) - len(decoded),
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
