"""Images and masks of a source at one size, in memory, and batches of them."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.data import loader
from genmed_jax.data.intensity import parse_intensity
from genmed_jax.data.source import Source
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.progress import progress
from genmed_jax.errors import DecodeError, UsageError
from genmed_jax.networks.preprocess import Preprocess, preprocess

_BLOCK = 32  # Images that are read, or that a network is applied to, at once.


def network_input(size: int) -> Preprocess:
  """Preprocessing for networks that are trained here: to [-1, 1]."""
  return Preprocess(size=size, resize='clean', centre=127.5, scale=127.5)


class Pictures(NamedTuple):
  """Images in 8 bits: 50 kB each at 224 x 224.

  Attributes:
    images: ``[n, size, size, c]`` uint8; c is 1 for greyscale and 3 for RGB.
    masks: ``[n, size, size]`` bool; None where there are none.
  """

  images: np.ndarray
  masks: np.ndarray | None

  def take(self, items: np.ndarray) -> 'Pictures':
    """These images, in this order."""
    masks = None if self.masks is None else self.masks[items]
    return Pictures(self.images[items], masks)


def read_pictures(
  source: Source, size: int, channels: int, intensity: str, *, masks: bool
) -> Pictures:
  """Decodes all images of a source and resizes them, antialiased.

  Args:
    source: Of the images.
    size: Side in pixels.
    channels: 1, of which colour gives the mean, or 3.
    intensity: As ``intensity.parse_intensity`` reads it.
    masks: Whether to read masks too.

  Raises:
    DecodeError: if an image cannot be used.
    UsageError: if there are no masks, or other channels are asked for.
  """
  if channels not in (1, 3):
    raise UsageError(f'`channels={channels}`: images have 1 or 3')
  if masks and source.read_mask is None:
    raise UsageError(
      f'{source.name} has no masks: a folder has NAME_mask.EXT beside '
      'NAME.EXT, a manifest a column mask, a .npz an array masks'
    )
  images = _resized(
    source, size, channels, parse_intensity(intensity), source.name
  )
  if not masks:
    return Pictures(images, None)
  drawn = source.of_masks()
  found = _resized(drawn, size, 1, lambda mask: mask, f'masks of {source.name}')
  return Pictures(images, found[:, :, :, 0] > 127)


def _resized(source, size, channels, to_unit, called) -> np.ndarray:
  result, start = np.empty((len(source), size, size, channels), np.uint8), 0
  with progress(
    desc=called,
    total=len(source),
    unit='image',
  ) as bar:
    for batch in loader.batches(
      source,
      range(len(source)),
      _BLOCK,
      to_unit,
      workers=loader.WORKERS,
    ):
      if batch.errors:
        raise DecodeError(batch.errors[0])
      resized = _to_bytes(batch.images, batch.sizes, size, channels)
      result[start : start + batch.count] = resized[: batch.count]
      start += batch.count
      bar.update(batch.count)
  return result


def _to_bytes(canvas, sizes, size, channels) -> np.ndarray:
  images = _resize(canvas, sizes, config=network_input(size))
  if channels == 1:
    images = images.mean(axis=-1, keepdims=True)
  return np.asarray(as_bytes(images))


_resize = jax.jit(preprocess, static_argnames='config')


def as_input(images: jax.Array) -> jax.Array:
  """8 bits to [-1, 1], as :func:`network_input` has it."""
  return images.astype(jnp.float32) / 127.5 - 1


def as_bytes(images: jax.Array) -> jax.Array:
  """The inverse of :func:`as_input`, rounded."""
  return jnp.round(127.5 * (images + 1)).astype(jnp.uint8)


class Batches:
  """Shuffled batches over the mesh, the same for every run of a seed.

  An epoch is a permutation of the images without its uneven end. Which images
  a step sees, and the key of each, depend on the seed, the epoch and the step
  alone: training that was cut off goes on as if it had not been. Several
  processes each draw from images of their own.

  Attributes:
    size: Images in a step, over all devices of all processes.
  """

  def __init__(
    self,
    mesh: jax.sharding.Mesh,
    arrays: dict[str, np.ndarray],
    batch_size: int,
    seed: int,
  ):
    """Sets up batches of this process's share of ``arrays``.

    Raises:
      UsageError: if there are fewer images than a batch takes.
    """
    count = len(next(iter(arrays.values())))
    processes = jax.process_count()
    share = mesh_lib.local_share(count)
    self._mesh = mesh
    self._arrays = {k: v[share.start : share.stop] for k, v in arrays.items()}
    devices = mesh.devices.size
    self.size = -(-batch_size // devices) * devices
    self._batch = self.size // processes
    self._steps = count // processes // self._batch
    self._seed = seed
    if not self._steps:
      raise UsageError(
        f'`batch_size={batch_size}`: there are {count} images to train on'
      )

  def __len__(self) -> int:
    """Steps in an epoch."""
    return self._steps

  def epoch(self, number: int) -> Iterator[dict[str, jax.Array]]:
    """The batches of an epoch, ``keys`` of every image among them."""
    process = jax.process_index()
    random = np.random.default_rng([self._seed, 4, number, process])
    count = len(next(iter(self._arrays.values())))
    order = random.permutation(count)[: self._steps * self._batch]
    for step, items in enumerate(order.reshape(self._steps, self._batch)):
      rows = {name: values[items] for name, values in self._arrays.items()}
      first = (number * self._steps + step) * self.size
      numbers = first + process * self._batch + np.arange(self._batch)
      rows['keys'] = _keys(self._seed, numbers)
      yield {k: mesh_lib.to_mesh(self._mesh, v) for k, v in rows.items()}


def _keys(seed: int, numbers: np.ndarray) -> np.ndarray:
  """Raw keys ``[b, 2]`` uint32, one per image and epoch."""
  wide = numbers.astype(np.uint64)
  low = (wide & np.uint64(0xFFFFFFFF)).astype(np.uint32)
  return np.stack([np.full(len(numbers), seed, np.uint32), low], axis=1)


def batch_keys(batch: dict[str, jax.Array]) -> jax.Array:
  """The keys of a batch, ``[b]``."""
  return jax.vmap(
    lambda raw: jax.random.fold_in(jax.random.key(raw[0]), raw[1])
  )(batch['keys'])


class OverRows:
  """A function of weights and rows, applied to any number of rows.

  Attributes:
    at_once: Rows of one call of the compiled program; fewer are padded.
  """

  def __init__(self, mesh: jax.sharding.Mesh, function: Callable):
    """Compiles ``function(weights, *rows)``, pure and row by row."""
    devices = mesh.devices.size
    self.at_once = -(-_BLOCK // devices) * devices
    self._mesh = mesh
    self._compiled = jax.jit(
      jax.shard_map(
        lambda weights, rows: function(weights, *rows),
        mesh=mesh,
        in_specs=(mesh_lib.REPLICATED, mesh_lib.ROWS),
        out_specs=mesh_lib.ROWS,
        check_vma=False,
      )
    )

  def __call__(self, weights, *rows: np.ndarray):
    """Its outputs for all rows, known to every process, on the host.

    Args:
      weights: A pytree.
      rows: ``[n, ...]`` each.
    """
    weights = mesh_lib.replicate(self._mesh, weights)
    count = len(rows[0])
    share = mesh_lib.local_share(self.at_once)
    found = []
    for start in range(0, count, self.at_once):
      at = np.arange(start, start + self.at_once) % count
      at = at[share.start : share.stop]
      batch = [mesh_lib.to_mesh(self._mesh, values[at]) for values in rows]
      outputs = self._compiled(weights, batch)
      found.append(jax.tree.map(mesh_lib.to_host, outputs))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *found)
