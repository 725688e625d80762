"""The declaration of InceptionV3; its layers are in ``inception_layers``."""

import numpy as np

from genmed_jax.networks import weights
from genmed_jax.networks.base import Architecture, Upstream
from genmed_jax.networks.inception_taps import (
  OPTIONAL,
  SPATIAL_CHANNELS,
  TAPS,
)
from genmed_jax.networks.preprocess import Preprocess
from genmed_jax.networks.weights import Rule

# Upstream names are ours but for their case; `fc.bias` is not used, because
# the Inception Score is defined on the logits without it.
RULES = (
  Rule(r'((?:Conv2d|Mixed)_\w+(?:\.\w+)?)\.weight', r'\1.kernel', 'conv'),
  Rule(r'((?:Conv2d|Mixed)_\w+(?:\.\w+)?)\.bias', r'\1.bias', 'same'),
  Rule(r'spatial\.weight', r'spatial.kernel', 'conv'),
  Rule(r'fc\.weight', r'fc.kernel', 'linear'),
  Rule(r'fc\.bias', None),
  Rule(r'AuxLogits\..*', None),
)


def upstream_tensors(
  tensors: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
  """Folds batch norm, after keeping the channels that ``spatial`` reads."""
  raw = tensors.get('Mixed_6d.branch1x1.conv.weight')
  tensors = weights.fold_batch_norm(tensors, epsilon=1e-3)
  if raw is not None:
    tensors['spatial.weight'] = raw[:SPATIAL_CHANNELS]
  return tensors


def _build(taps, **options):
  from genmed_jax.networks.inception_layers import InceptionV3

  return InceptionV3(taps, **options)


ARCHITECTURE = Architecture(
  build=_build,
  taps=tuple(TAPS),
  optional=OPTIONAL,
  default_tap='2048',
  preprocess=Preprocess(size=299),
  rules=RULES,
  prepare=upstream_tensors,
  upstream=Upstream(
    file='pt_inception-2015-12-05-6726825d.pth',
    url='https://github.com/mseitzer/pytorch-fid/releases/download/'
    'fid_weights/pt_inception-2015-12-05-6726825d.pth',
    sha256='6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2',
    licence='Apache-2.0',
  ),
  earns=frozenset({'fid'}),
)
