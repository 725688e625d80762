"""Seconds and memory per statistic on features alone, beside installed peers.

python -m benchmarks.metrics --output=benchmarks/results/metrics_cpu.jsonl

Each peer runs in turn with ours on the same arrays, and the values of both are
written. Kernels made of products are held against the rate of a large matrix
product of the same run.
"""

import functools

from absl import app, flags
import jax
import numpy as np

from benchmarks import measure, peers
from benchmarks.inputs import features
from genmed_jax import metrics
from genmed_jax.engine import memory
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.rows import shard_rows
from genmed_jax.metrics.base import FEATURES
from genmed_jax.metrics.kernel_discrepancies import all_discrepancies
from genmed_jax.metrics.memorisation import authenticity_of
from genmed_jax.metrics.prdc import prdc_of

_COUNTS = flags.DEFINE_list(
  'counts', ['1000', '5000', '10000'], 'Images in each set.'
)
_WIDTHS = flags.DEFINE_list('widths', ['2048'], 'Features.')
_STATISTICS = flags.DEFINE_list('statistics', [], 'Which; all if empty.')
_PEERS = flags.DEFINE_bool('peers', True, 'Whether to run peers beside ours.')
_REPEATS = flags.DEFINE_integer('repeats', 10, 'Counted runs, at most.')
_BUDGET_S = flags.DEFINE_float(
  'budget_s', 40.0, 'Runs are repeated, beyond the first, for so long.'
)
_OUTPUT = flags.DEFINE_string('output', None, 'JSON lines are appended here.')


def main(_):
  """Measures what the flags ask for."""
  for width in map(int, _WIDTHS.value):
    for count in map(int, _COUNTS.value):
      sets = {
        'real': features(count, width, 1, 0.0),
        'generated': features(count, width, 2, 0.1),
        'test': features(count, width, 3, 0.0),
        'baseline': features(count, width, 4, 0.0),
      }
      for name in _STATISTICS.value or list(STATISTICS):
        _measure(name, sets)


def _measure(name: str, sets: dict[str, np.ndarray]):
  rates = {t: measure.matmul_rate(t) for t in ('float32', 'float64')}
  mesh = mesh_lib.data_mesh()
  rows = {key: shard_rows(mesh, v) for key, v in sets.items()}
  jax.block_until_ready(rows)
  run, products = STATISTICS[name]
  contenders = {'genmed_jax': functools.partial(run, sets, rows)}
  peer, theirs = peers.find(name, sets) if _PEERS.value else (None, None)
  if peer:
    contenders[peer] = theirs
  found = measure.alternate(contenders, _REPEATS.value, _BUDGET_S.value)
  ours = found['genmed_jax']
  n, width = sets['real'].shape
  record = {
    'benchmark': 'statistic',
    'statistic': name,
    'n': n,
    'd': width,
    **measure.summary(ours.seconds),
    'peak_mb': ours.peak_bytes / 1e6,
    'value': ours.value,
    'float32_matmul_gflops': rates['float32'] / 1e9,
    'float64_matmul_gflops': rates['float64'] / 1e9,
  }
  if products:
    rate = products * n**2 * width / record['median_s']
    record['share_of_float32_matmul'] = rate / rates['float32']
  if peer:
    record |= {'peer': peer} | {
      f'peer_{key}': value
      for key, value in measure.summary(found[peer].seconds).items()
    }
    record['speedup'] = record['peer_median_s'] / record['median_s']
    record['peer_value'] = found[peer].value
  measure.write(_OUTPUT.value, record)


def _of(*names: str, statistic, **options):
  """The numbers of a statistic of these sets, given as rows."""

  def run(sets, rows):
    del sets
    found = statistic(*(rows[name] for name in names), **options)
    if isinstance(found, metrics.Estimate):
      return [*found[:2], *found.details.values()]
    return found

  return run


def _two(statistic, **options):
  """A statistic of the real and the generated set."""
  return _of('real', 'generated', statistic=statistic, **options)


def _neighbours(x, y):
  """Precision, recall, density, coverage, both clipped, realism, AuthPct."""
  found = metrics.neighbourhoods(x, y)
  authentic = authenticity_of(found.nearest_real, found.real)
  return [
    *(score.mean() for score in prdc_of(found)),
    metrics.clipped_density(found).mean(),
    metrics.clipped_coverage(found).mean(),
    found.realism.mean(),
    100 * authentic.mean(),
  ]


def _fld(train, test, y):
  return metrics.feature_likelihood_divergence(train, test, y).test


def _kernels(x, y):
  return [found.value for found in all_discrepancies(x, y)[:3]]


def _vendi(y):
  return metrics.vendi_score(y, orders=(1.0,))[1.0].value


def _sliced(x, y):
  found = metrics.sliced_distances(x, y)
  return [found.mind.value, found.sw1.value, found.sw2.value]


def _suite(sets, rows):
  """Every metric of features, with its error, as ``evaluate`` scores them."""
  del rows
  memory.release_programs()  # As commands do.
  mesh = mesh_lib.data_mesh()
  comparison = metrics.Comparison(
    *(LocalFeatures(mesh, sets[name]) for name in ('real', 'generated'))
  )
  return [
    metrics.score(metric, comparison).value
    for metric in metrics.METRICS.values()
    if metric.reads == FEATURES
  ]


# Ours, and the products it takes at the least, in units of n² d flops.
STATISTICS = {
  'fd': (_two(metrics.frechet_distance), None),
  'fd_error': (_two(metrics.frechet_distance, std_error=True), None),
  'fd_inf': (_two(metrics.frechet_distance_infinity), None),
  'kid': (_two(metrics.kid), None),
  'kernels': (_two(_kernels), 4),
  'neighbours': (_two(_neighbours), 4),
  'asw': (_two(metrics.approximate_sliced_wasserstein), None),
  'sliced': (_two(_sliced), None),
  'is': (_of('generated', statistic=metrics.inception_score), None),
  'vendi': (_of('generated', statistic=_vendi), None),
  'ct': (
    _of('real', 'test', 'generated', statistic=metrics.copying_test),
    None,
  ),
  'fls': (
    _of(
      'real',
      'baseline',
      'test',
      'generated',
      statistic=metrics.feature_likelihood_score,
    ),
    None,
  ),
  'fld': (_of('real', 'test', 'generated', statistic=_fld), None),
  'suite': (_suite, None),
}


if __name__ == '__main__':
  app.run(main)
