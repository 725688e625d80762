"""One subject's drawing as a program for many, that is ready in a second."""

from collections.abc import Callable
import functools

import jax

from genmed_jax.engine import mesh as mesh_lib


def on_subjects(*, emitters: bool = False) -> Callable:
  """Turns ``(part, ..., *, option, ...)`` into one compiled map over subjects.

  What is positional is mapped, keywords are shared; ``size`` is static.

  A set is drawn in a fraction of a second, so compiling is most of the wait
  for it, and XLA on CPU is told to be quick about it: at its third level it
  unrolls the rounds of every random number, and its fusion emitters take
  twice as long as what they replace.

  Args:
    emitters: Whether to have them nevertheless: what they make of the body of
      a loop is several times as fast.
  """

  def wrap(function: Callable) -> Callable:
    def mapped(*parts, **options):
      return jax.vmap(lambda *part: function(*part, **options))(*parts)

    mapped.__name__ = function.__name__  # Else profiles do not tell them apart.

    @functools.cache
    def compiled() -> Callable:
      return jax.jit(
        mapped, static_argnames='size', compiler_options=_options(emitters)
      )

    @functools.wraps(function)
    def call(*parts, **options):
      return compiled()(*parts, **options)

    return call

  return wrap


@functools.cache
def _options(emitters: bool) -> dict[str, int | bool]:
  """Compiler options on CPU; none if this XLA knows no such option."""
  if not mesh_lib.is_cpu(mesh_lib.data_mesh(jax.local_devices())):
    return {}
  options = {'xla_backend_optimization_level': 2}
  if not emitters:
    options['xla_cpu_use_fusion_emitters'] = False
  try:
    jax.jit(lambda: 0, compiler_options=options)()
  except jax.errors.JaxRuntimeError:
    return {}
  return options
