"""Seconds per metric on features alone, beside the fastest installed peer.

python -m benchmarks.metrics --output=benchmarks/metrics.jsonl

Peers: torch-fidelity for fd, kid and is, prdc for precision, recall, density
and coverage. Each runs in turn with ours on the same arrays, and the values
are compared.
"""

import functools
import statistics

from absl import app, flags
import numpy as np

from benchmarks import measure
from genmed_jax import mesh as mesh_lib
from genmed_jax import metrics

_COUNTS = flags.DEFINE_list('counts', ['1000', '5000'], 'Images in each set.')
_WIDTHS = flags.DEFINE_list('widths', ['2048'], 'Features.')
_METRICS = flags.DEFINE_list(
  'metrics', ['fd', 'kid', 'mmd_poly', 'prdc', 'authpct', 'is'], 'Which.'
)
_REPEATS = flags.DEFINE_integer('repeats', 10, 'Counted runs of each.')
_OUTPUT = flags.DEFINE_string('output', None, 'JSON lines are appended here.')


def features(n: int, width: int, seed: int, shift: float) -> np.ndarray:
  """Non-negative features of low rank and noise, as a pooled network gives."""
  law, random = np.random.default_rng(0), np.random.default_rng(seed)
  mixing = law.standard_normal((96, width)) * np.arange(1, 97)[:, None] ** -0.6
  hidden = random.standard_normal((n, 96)) + shift
  noise = 0.35 * random.standard_normal((n, width))
  return np.logaddexp(0, hidden @ mixing + noise).astype(np.float32)


def main(_):
  """Measures what the flags ask for."""
  rates = {t: measure.matmul_rate(t) for t in ('float32', 'float64')}
  for width in map(int, _WIDTHS.value):
    for count in map(int, _COUNTS.value):
      x, y = features(count, width, 1, 0.0), features(count, width, 2, 0.1)
      for name in _METRICS.value:
        _measure(name, x, y, rates)


def _measure(name, x, y, rates):
  mesh = mesh_lib.data_mesh()
  rows_x, rows_y = (mesh_lib.shard_rows(mesh, f) for f in (x, y))
  masks = {'mask_x': rows_x.mask, 'mask_y': rows_y.mask}
  pair = rows_x.values, rows_y.values
  ours = {
    'fd': lambda: metrics.frechet_distance(*pair, **masks).value,
    'kid': lambda: metrics.kid(*pair, **masks).value,
    'mmd_poly': lambda: metrics.polynomial_mmd(*pair, **masks).value,
    'prdc': lambda: [s.mean() for s in metrics.prdc(*pair, **masks)],
    'authpct': lambda: (
      100
      * metrics.authenticity(
        *pair, mask_train=rows_x.mask, mask_y=rows_y.mask
      ).mean()
    ),
    'is': lambda: metrics.inception_score(pair[1], mask=rows_y.mask).value,
  }[name]
  contenders = {'genmed_jax': ours}
  peer_name, peer = _peer(name, x, y)
  if peer is not None:
    contenders[peer_name] = peer
  seconds = measure.alternate(contenders, _REPEATS.value)
  record = {
    'benchmark': 'metric',
    'metric': name,
    'n': len(x),
    'd': x.shape[1],
    **measure.summary(seconds['genmed_jax']),
    'value': np.asarray(ours()).tolist(),
    'float32_matmul_gflops': rates['float32'] / 1e9,
    'float64_matmul_gflops': rates['float64'] / 1e9,
  }
  # Products of three (own, own, cross) or two (own, cross) pairs of sets.
  passes = {'mmd_poly': 3, 'prdc': 3, 'authpct': 3}.get(name)
  if passes:
    flops = passes * 2 * len(x) ** 2 * x.shape[1]
    rate = flops / statistics.median(seconds['genmed_jax'])
    record['share_of_float64_matmul'] = rate / rates['float64']
  if peer is not None:
    middle = statistics.median(seconds[peer_name])
    record |= {
      'peer': peer_name,
      'peer_median_s': middle,
      'speedup': middle / record['median_s'],
      'peer_value': np.asarray(peer()).tolist(),
    }
  measure.write(_OUTPUT.value, record)


def _peer(name, x, y):
  """The peer's name and its run on the same arrays; (None, None) without."""
  try:
    if name == 'prdc':
      import prdc

      run = functools.partial(prdc.compute_prdc, x, y, 5)
      return 'prdc', lambda: list(run().values())
    if name in ('fd', 'kid', 'is'):
      return 'torch-fidelity', _torch_fidelity(name, x, y)
  except ImportError:
    pass
  return None, None


def _torch_fidelity(name, x, y):
  import torch
  from torch_fidelity import metric_fid, metric_isc, metric_kid

  x, y = torch.from_numpy(x), torch.from_numpy(y)

  def fd():
    statistics_of = metric_fid.fid_features_to_statistics
    found = metric_fid.fid_statistics_to_metric(
      statistics_of(x), statistics_of(y), verbose=False
    )
    return found[metric_fid.KEY_METRIC_FID]

  def kid():
    found = metric_kid.kid_features_to_metric(
      x,
      y,
      kid_subsets=100,
      kid_subset_size=min(1000, len(x), len(y)),
      rng_seed=2020,
      verbose=False,
    )
    return found[metric_kid.KEY_METRIC_KID_MEAN]

  def inception_score():
    found = metric_isc.isc_features_to_metric(y, 10, True, 2020)
    return found[metric_isc.KEY_METRIC_ISC_MEAN]

  return {'fd': fd, 'kid': kid, 'is': inception_score}[name]


if __name__ == '__main__':
  app.run(main)
