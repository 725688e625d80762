"""Compiled programs of one device's rows, run on every device of a mesh.

A kernel is one function of the rows that a device holds; it talks to the other
devices by collectives over ``mesh.DATA_AXIS``. What a statistic computes of
its sets is a single program, for every program costs time to trace and to
compile, and each operation outside of one is a program of its own.
"""

from collections.abc import Callable
import functools

import jax
from jax.sharding import Mesh

from genmed_jax.engine import mesh as mesh_lib


def program(
  *,
  out,
  static: tuple[str, ...] = (),
  options: Callable[[Mesh], dict] = mesh_lib.tile_options,
) -> Callable:
  """Makes a program of a function of one device's rows.

  The function takes ``(rows, context, **static)``: a pytree of arrays
  ``[n, ...]`` that are laid over the devices, of which it sees its own block,
  and a pytree that every device sees whole. Both may hold NumPy arrays, known
  to every process. The mesh is that of the rows. ``lower(mesh, rows, ...)``
  lowers the program for a mesh; shapes will do for arrays.

  Args:
    out: Partition of its results, ``mesh.ROWS`` or ``mesh.REPLICATED``, as
      a prefix of their pytree.
    static: Names of its keyword arguments, which are compiled in.
    options: Of a mesh, to XLA's options.
  """

  def wrap(function: Callable) -> Callable:
    @functools.cache
    def compiled(mesh: Mesh) -> Callable:
      def on_mesh(rows, context, **given):
        return jax.shard_map(
          functools.partial(function, **given),
          mesh=mesh,
          in_specs=(mesh_lib.ROWS, mesh_lib.REPLICATED),
          out_specs=out,
          check_vma=False,
        )(rows, context)

      on_mesh.__name__ = function.__name__  # In profiles and logs.
      return jax.jit(
        on_mesh,
        static_argnames=static,
        compiler_options=options(mesh),
      )

    @functools.wraps(function)
    def call(rows, context=(), **given):
      return compiled(mesh_of_rows(rows))(rows, context, **given)

    def lower(mesh, rows, context=(), **given):
      return compiled(mesh).lower(rows, context, **given)

    call.lower = lower
    return call

  return wrap


def mesh_of_rows(rows) -> Mesh:
  """The mesh that the first device array of a pytree is laid over."""
  first = next(v for v in jax.tree.leaves(rows) if isinstance(v, jax.Array))
  return mesh_lib.mesh_of(first)
