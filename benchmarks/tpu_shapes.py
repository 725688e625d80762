"""Programs for a mesh, and shapes of their arrays as the engine lays them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding

from benchmarks.tpu_work import Work
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine import views
from genmed_jax.engine.rows import padded_size, Rows

WIDTH = 2048
SUBSET = 1000  # Images of each set in a subset of KID.
COMPONENTS = 64  # Of ct.


class Program(NamedTuple):
  """A kernel to compile.

  Attributes:
    name: Of the kernel.
    shapes: In words.
    lower: To the lowered program.
    work: Of a chip.
    x64: Whether it runs with x64.
  """

  name: str
  shapes: str
  lower: Callable
  work: Work
  x64: bool = True


class Shapes:
  """Shapes of arrays that lie over a mesh as the engine lays them."""

  def __init__(self, mesh: Mesh):
    """Of this mesh."""
    self.mesh = mesh
    self.chips = mesh.devices.size

  def whole(self, *shape, dtype=jnp.float64) -> jax.ShapeDtypeStruct:
    """An array that every chip has."""
    sharding = NamedSharding(self.mesh, mesh_lib.REPLICATED)
    return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

  def over(self, count, *shape, dtype=jnp.float32) -> jax.ShapeDtypeStruct:
    """An array of ``count`` rows, and padding."""
    sharding = NamedSharding(self.mesh, mesh_lib.ROWS)
    padded = self.chips * padded_size(-(-count // self.chips))
    return jax.ShapeDtypeStruct((padded, *shape), dtype, sharding=sharding)

  def rows(self, count, width=WIDTH, dtype=jnp.float32) -> Rows:
    """Rows with their mask."""
    return Rows(
      self.over(count, width, dtype=dtype), self.over(count, dtype=bool)
    )

  def balls(self, count) -> views.Balls:
    """Balls around rows."""
    return views.Balls(*(self.over(count, dtype=jnp.float64),) * 3)
