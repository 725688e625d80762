"""Compiles every kernel and network for TPUs that are not there.

python -m benchmarks.tpu --output=benchmarks/results/tpu_v5e.jsonl

Needs libtpu (``pip install 'genmed_jax[tpu]'``), which compiles ahead of time
on any host. Each line says whether a program compiles for a slice, the memory
that it takes of a chip, and the seconds that its work would take at the
chip's peak, by counts of our own: nothing is run, so these are bounds and not
timings.
"""

import os

# Read when jax starts, so before anything imports it.
os.environ.setdefault('TPU_SKIP_MDS_QUERY', '1')
os.environ['JAX_PLATFORMS'] = 'cpu'

import importlib.metadata  # noqa: E402
import time  # noqa: E402

from absl import app, flags  # noqa: E402
import jax  # noqa: E402
from jax.experimental import topologies  # noqa: E402

from benchmarks import (  # noqa: E402
  measure,
  tpu_networks,
  tpu_pairs,
  tpu_rows,
  tpu_shapes,
  tpu_work,
)
from genmed_jax.engine import mesh as mesh_lib  # noqa: E402
from genmed_jax.metrics import likelihood  # noqa: E402

_CHIPS = flags.DEFINE_list('chips', ['1', '4', '8'], 'Chips of each slice.')
_REAL = flags.DEFINE_list('real', ['50000', '1000000'], 'Real images.')
_GENERATED = flags.DEFINE_integer('generated', 50_000, 'Generated images.')
_PROGRAMS = flags.DEFINE_list('programs', [], 'Names start with; all if empty.')
_WITHOUT = flags.DEFINE_list('without', [], 'Programs that are left out.')
_NETWORKS = flags.DEFINE_bool('networks', True, 'Whether networks too.')
_OUTPUT = flags.DEFINE_string('output', None, 'JSON lines are appended here.')

_TOPOLOGIES = {1: 'v5e:1x1', 4: 'v5e:2x2', 8: 'v5e:2x4'}


def mesh_of(chips: int) -> jax.sharding.Mesh:
  """The mesh over a slice of so many v5e chips."""
  # A host has four chips unless it is told otherwise.
  options = {'chips_per_host_bounds': [1, 1, 1]} if chips == 1 else {}
  slice_ = topologies.get_topology_desc(
    _TOPOLOGIES[chips], platform='tpu', **options
  )
  return mesh_lib.data_mesh(slice_.devices)


def main(_):
  """Compiles what the flags ask for."""
  for chips in map(int, _CHIPS.value):
    mesh = mesh_of(chips)
    seen = set()  # Some do not depend on the number of real images.
    for n in map(int, _REAL.value):
      for each in _kernels(mesh, n, _GENERATED.value):
        if _is_asked(each) and (each.name, each.shapes) not in seen:
          seen.add((each.name, each.shapes))
          _compile(each, mesh, each.x64, each.work)
    for each in tpu_networks.programs(mesh) if _NETWORKS.value else ():
      if _is_asked(each):
        _compile(each, mesh, False)


def _kernels(mesh, n: int, m: int) -> list[tpu_shapes.Program]:
  shapes = tpu_shapes.Shapes(mesh)
  return [
    *tpu_rows.programs(shapes, n),
    *tpu_pairs.programs(shapes, n, m),
    *tpu_pairs.mixtures(shapes, min(n, likelihood.MOST_IMAGES)),
  ]


def _is_asked(program) -> bool:
  def starts(flag):
    return program.name.startswith(tuple(flag.value))

  asked = starts(_PROGRAMS) or not _PROGRAMS.value
  return asked and not (_WITHOUT.value and starts(_WITHOUT))


def _compile(program, mesh, x64: bool, work: tpu_work.Work | None = None):
  record = {
    'benchmark': 'tpu',
    'program': program.name,
    'shapes': program.shapes,
    'chips': mesh.devices.size,
    'compiled_for': mesh.devices.flat[0].device_kind,
    'libtpu': importlib.metadata.version('libtpu'),
    'x64': x64,
  }
  with jax.enable_x64(x64):
    lowered = program.lower()
    found = tpu_networks.products(lowered.as_text())
    start = time.perf_counter()
    try:
      compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
      reason = ' '.join(str(error).split())[:200]
      record |= {'compiles': False, 'reason': reason}
    else:
      record |= {'compiles': True} | _memory(compiled.memory_analysis())
    record['compile_s'] = time.perf_counter() - start
  wide = [p for p in found if p.dtype == 'f64']
  record['float64_products'] = (
    ['none', 'of vectors'][bool(wide)]
    if not any(p.is_of_matrices for p in wide)
    else 'of matrices'
  )
  # Which a TPU rounds to bfloat16 first.
  record['float32_products_in_one_pass'] = sum(
    p.dtype == 'f32' and not p.highest for p in found
  )
  work = tpu_networks.work_of(found) if work is None else work
  measure.write(_OUTPUT.value, record | work.record)


def _memory(analysis) -> dict:
  sizes = {
    'arguments_bytes': analysis.argument_size_in_bytes,
    'results_bytes': analysis.output_size_in_bytes,
    'temporary_bytes': analysis.temp_size_in_bytes,
  }
  # An argument that is given away holds a result.
  total = sum(sizes.values()) - analysis.alias_size_in_bytes
  fits = total <= tpu_work.MEMORY_BYTES
  return sizes | {'hbm_bytes_a_chip': total, 'fits': fits}


if __name__ == '__main__':
  app.run(main)
