"""Tile sizes, batch sizes and algorithms for CPUs, GPUs and TPUs.

The CPU's sizes were measured. Those for GPUs and TPUs were not: they follow
from how these work and from what compiles for a TPU (``benchmarks.tpu``).
"""

from typing import NamedTuple

from jax.sharding import Mesh


class Platform(NamedTuple):
  """Sizes and algorithms for one kind of device.

  Attributes:
    images: Images that a device takes in a step of a network.
    tile: Rows and columns of a tile of pairs.
    small_tile: The same where a device holds a thousand rows or fewer, of
      which larger tiles would waste more.
    second_look: Rows of a tile of those that look again in float64.
    top_k: Whether the nearest of a tile are found by ``lax.top_k``. Rounds of
      minima are several times faster on a CPU; a GPU asks the host after each.
    sorts: Whether devices sort faster than the host.
    float64: Whether devices have float64 units, rather than emulate them.
  """

  images: int
  tile: int
  small_tile: int
  second_look: int
  top_k: bool
  sorts: bool
  float64: bool


_CPU = Platform(
  images=8,  # They stay in the cache.
  tile=1000,  # Products of smaller ones are slower, larger leave the cache.
  small_tile=256,
  second_look=32,  # Few rows do, however large the set.
  top_k=False,
  sorts=False,
  float64=True,
)
_GPU = Platform(
  images=128,
  tile=4096,  # Each costs launches.
  small_tile=1024,
  second_look=256,
  top_k=True,
  sorts=True,
  float64=True,
)
_TPU = _GPU._replace(tile=1024, small_tile=256, float64=False)

_PLATFORMS = {'cpu': _CPU, 'tpu': _TPU}


def platform_of(mesh: Mesh) -> Platform:
  """The sizes and algorithms for the devices of a mesh.

  Kinds of device that are not listed get those of a GPU.
  """
  return _PLATFORMS.get(mesh.devices.flat[0].platform, _GPU)
