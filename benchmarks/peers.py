"""The peers' metrics, where they are installed, on NumPy features.

torch-fidelity, prdc, vendi-score and FAISS (faiss-cpu) come from the package
registry; MIND (in torch-fidelity), dgm-eval and fld from their repositories.
dgm-eval's likelihood asks for CUDA and its copying test for an older numpy:
here both are given what they ask for, and compute as they do.
"""

from collections.abc import Callable
import contextlib
import importlib
import io

import numpy as np
import scipy.stats


def find(name: str, sets: dict[str, np.ndarray]):
  """The fastest installed peer of one of our benchmarks.

  Args:
    name: Of the benchmark.
    sets: ``real``, ``generated``, ``test`` and ``baseline`` features.

  Returns:
    The peer's name and its run, or (None, None).
  """
  for peer, module, run in PEERS.get(name, ()):
    with contextlib.suppress(ImportError):
      found = importlib.import_module(module)
      return peer, _quiet(run, found, sets)
  return None, None


def _quiet(run: Callable, module, sets) -> Callable:
  def quiet():
    with contextlib.redirect_stderr(io.StringIO()):
      return np.asarray(run(module, sets)).tolist()

  return quiet


def _tensors(sets, *names):
  import torch

  return [torch.from_numpy(sets[name]) for name in names]


def _fd(module, sets):
  fits = map(
    module.fid_features_to_statistics, _tensors(sets, 'real', 'generated')
  )
  found = module.fid_statistics_to_metric(*fits, verbose=False)
  return found[module.KEY_METRIC_FID]


def _fd_inf(module, sets):
  return module.compute_FD_infinity(sets['real'], sets['generated'])


def _kid(module, sets):
  found = module.kid_features_to_metric(
    *_tensors(sets, 'real', 'generated'),
    kid_subsets=100,
    kid_subset_size=min(1000, len(sets['real'])),
    rng_seed=2020,
    verbose=False,
  )
  return found[module.KEY_METRIC_KID_MEAN]


def _is(module, sets):
  (logits,) = _tensors(sets, 'generated')
  found = module.isc_features_to_metric(logits, 10, True, 2020)
  return found[module.KEY_METRIC_ISC_MEAN]


def _precision_recall(module, sets):
  found = module.prc_features_to_metric(
    *_tensors(sets, 'real', 'generated'),
    prc_neighborhood=5,
    prc_batch_size=10_000,
    verbose=False,
  )
  return [found[module.KEY_METRIC_PRECISION], found[module.KEY_METRIC_RECALL]]


def _searches(module, sets):
  """The searches behind every metric of neighbours; AuthPct out of them."""
  real, generated = sets['real'], sets['generated']
  own = []
  for images in (real, generated):
    index = module.IndexFlatL2(images.shape[1])
    index.add(images)
    own.append(index.search(images, 6)[0][:, 1:])
  index = module.IndexFlatL2(real.shape[1])
  index.add(real)
  squared, nearest = (found[:, 0] for found in index.search(generated, 1))
  return 100 * np.mean(squared > own[0][nearest, 0])


def _prdc(module, sets):
  found = module.compute_prdc(sets['real'], sets['generated'], 5)
  return list(found.values())


def _asw(module, sets):
  return module.sw_approx(sets['real'], sets['generated'])


def _mind(module, sets):
  found = module.mind_features_to_metric(
    *_tensors(sets, 'real', 'generated'),
    mind_num_projections=1000,
    rng_seed=2020,
    verbose=False,
  )
  return next(iter(found.values()))


def _vendi(module, sets):
  return module.score_dual(sets['generated'], normalize=True)


def _fls(module, sets):
  import torch

  ones = torch.ones
  torch.Tensor.cuda = lambda tensor: tensor
  torch.ones = lambda *shape, device=None, **options: ones(*shape, **options)
  try:
    return module.compute_fls(
      *(sets[name] for name in ('real', 'baseline', 'test', 'generated'))
    )
  finally:
    torch.ones = ones


def _fld(module, sets):
  return module.FLD('test').compute_metric(
    *_tensors(sets, 'real', 'test', 'generated')
  )


def _ct(module, sets):
  module.mannwhitneyu = lambda q, p, **options: scipy.stats.mannwhitneyu(
    q.ravel(), p.ravel(), **options
  )
  return module.compute_CTscore(
    *(sets[name] for name in ('real', 'test', 'generated'))
  )


# The fastest first: of a benchmark the first that is installed is run.
PEERS = {
  'fd': [('torch-fidelity', 'torch_fidelity.metric_fid', _fd)],
  'fd_inf': [('dgm-eval', 'dgm_eval.metrics.fd', _fd_inf)],
  'kid': [('torch-fidelity', 'torch_fidelity.metric_kid', _kid)],
  'is': [('torch-fidelity', 'torch_fidelity.metric_isc', _is)],
  'neighbours': [
    ('FAISS, three searches', 'faiss', _searches),
    (
      'torch-fidelity, precision and recall alone',
      'torch_fidelity.metric_prc',
      _precision_recall,
    ),
    ('prdc', 'prdc', _prdc),
  ],
  'asw': [('dgm-eval', 'dgm_eval.metrics.sw', _asw)],
  'sliced': [('torch-fidelity, MIND', 'torch_fidelity.metric_mind', _mind)],
  'vendi': [('vendi-score', 'vendi_score.vendi', _vendi)],
  'fls': [('dgm-eval', 'dgm_eval.metrics.fls', _fls)],
  'fld': [('fld', 'fld.metrics.FLD', _fld)],
  'ct': [('dgm-eval', 'dgm_eval.metrics.ct', _ct)],
}
