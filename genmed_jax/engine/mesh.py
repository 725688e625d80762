"""Devices: the one mesh, how rows are laid over it, and how they come back.

Everything data-parallel in the package runs as one program per device over a
1-D mesh whose axis is ``data``; no other module names a device. Rows are
padded to a multiple of the device count and carry a mask, so a kernel counts
rows by summing the mask and never by looking at a shape.
"""

import functools

import jax
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
import numpy as np

DATA_AXIS = 'data'
ROWS = PartitionSpec(DATA_AXIS)
REPLICATED = PartitionSpec()


def data_mesh(devices: list[jax.Device] | None = None) -> Mesh:
  """The 1-D mesh over ``devices``, all devices of all processes if None."""
  devices = jax.devices() if devices is None else devices
  return Mesh(np.array(devices), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def mesh_of(x: jax.Array) -> Mesh:
  """The mesh ``x`` is laid over; a mesh of one device if it is not sharded."""
  if isinstance(x.sharding, NamedSharding):
    return Mesh(
      x.sharding.mesh.devices.reshape(-1),
      (DATA_AXIS,),
      axis_types=(AxisType.Auto,),
    )
  return data_mesh(list(x.devices()))


def local_share(n: int) -> range:
  """The contiguous rows, out of ``n``, that this process reads."""
  processes, process = jax.process_count(), jax.process_index()
  return range(n * process // processes, n * (process + 1) // processes)


def global_rows(n_local: int) -> tuple[int, int]:
  """Start of this process's rows among all, and the number of all."""
  counts = from_all(np.array(n_local))
  return int(counts[: jax.process_index()].sum()), int(counts.sum())


def from_all(value: np.ndarray) -> np.ndarray:
  """A number of this process, of all processes, ``[processes]``."""
  if jax.process_count() == 1:
    return value.reshape(-1)
  return multihost_utils.process_allgather(value).reshape(-1)


def to_mesh(mesh: Mesh, local: np.ndarray) -> jax.Array:
  """The global array whose rows on this process are ``local``."""
  return jax.make_array_from_process_local_data(
    NamedSharding(mesh, ROWS), local
  )


def local_rows(x: jax.Array) -> np.ndarray:
  """The rows of ``x`` that lie on this process's devices, in order."""
  shards = sorted(x.addressable_shards, key=lambda s: s.index[0].start or 0)
  return np.concatenate([np.asarray(shard.data) for shard in shards])


def is_cpu(mesh: Mesh) -> bool:
  """Whether the devices are the host's own cores."""
  return mesh.devices.flat[0].platform == 'cpu'


def ring(devices: int, step: int) -> list[tuple[int, int]]:
  """Everyone's block moves on by so many devices: a ``ppermute``'s pairs."""
  return [(i, (i + step) % devices) for i in range(devices)]


def replicate(mesh: Mesh, tree):
  """Copies a pytree of host arrays to every device."""
  return jax.device_put(tree, NamedSharding(mesh, REPLICATED))


def to_host(x: jax.Array) -> np.ndarray:
  """The whole global array, on every process."""
  if x.is_fully_addressable or x.is_fully_replicated:
    return np.asarray(x)
  return multihost_utils.process_allgather(x, tiled=True)


def network_options(mesh: Mesh) -> dict:
  """XLA options for a network's program on this mesh.

  On CPU, XLA's own convolutions reach about a third of the speed of the
  YNNPACK kernels that ship with it but are off by default.
  """
  return _known(mesh, _ynn_fusions('DOT'))


def product_options(mesh: Mesh) -> dict:
  """XLA options for a program of large matrix products on this mesh.

  On CPU, XLA by default fuses a product with the reduction that follows into
  one YNNPACK call of a half to a quarter of the speed of two.
  """
  return _known(mesh, _PRODUCTS)


def tile_options(mesh: Mesh) -> dict:
  """The same for products whose tiles are read by many fused loops.

  On CPU, XLA's newer emitters take a third longer to compile such loops,
  which are no faster for it.
  """
  return _known(mesh, _PRODUCTS, ('xla_cpu_use_fusion_emitters', False))


def _ynn_fusions(*kinds: str) -> tuple[str, str]:
  kinds = ','.join(f'LIBRARY_FUSION_TYPE_{kind}' for kind in kinds)
  return 'xla_cpu_experimental_ynn_fusion_type', kinds


_PRODUCTS = _ynn_fusions('INDIVIDUAL_DOT', 'REDUCE')


@functools.cache
def _known(mesh: Mesh, *options: tuple) -> dict:
  """Those of the options that this XLA knows; none but on CPU."""
  if not is_cpu(mesh):
    return {}
  try:
    jax.jit(lambda: 0, compiler_options=dict(options))()
  except jax.errors.JaxRuntimeError:
    if len(options) == 1:
      return {}
    alone = (_known(mesh, option) for option in options)
    return {name: value for known in alone for name, value in known.items()}
  return dict(options)
