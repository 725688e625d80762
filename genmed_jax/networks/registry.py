"""Which networks there are, what they are made of and where weights are."""

from collections.abc import Callable
import difflib
from typing import NamedTuple

from flax import nnx

from genmed_jax.errors import UsageError
from genmed_jax.networks import inception
from genmed_jax.networks.preprocess import Preprocess
from genmed_jax.networks.weights import Rule


class Upstream(NamedTuple):
  """Where a network's published weights are."""

  file: str
  url: str
  sha256: str
  licence: str


class Architecture(NamedTuple):
  """What the registry knows of a network.

  Attributes:
    build: ``(taps, *, dtype, rngs)`` to the module.
    taps: Its outputs, from shallow to deep.
    optional: Tap to the tensor it needs and not every file has.
    default_tap: The feature vector where no tap is named.
    preprocess: What its input is.
    rules: Upstream keys to leaves.
    prepare: Done to upstream's tensors before the rules.
    upstream: The published weights; None for seeded random ones.
  """

  build: Callable[..., nnx.Module]
  taps: tuple[str, ...]
  optional: dict[str, str]
  default_tap: str
  preprocess: Preprocess
  rules: tuple[Rule, ...]
  prepare: Callable
  upstream: Upstream | None


_INCEPTION = Architecture(
  build=inception.InceptionV3,
  taps=tuple(inception.TAPS),
  optional=inception.OPTIONAL,
  default_tap='2048',
  preprocess=Preprocess(size=299),
  rules=inception.RULES,
  prepare=inception.upstream_tensors,
  upstream=Upstream(
    file='pt_inception-2015-12-05-6726825d.pth',
    url='https://github.com/mseitzer/pytorch-fid/releases/download/'
    'fid_weights/pt_inception-2015-12-05-6726825d.pth',
    sha256='6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2',
    licence='Apache-2.0',
  ),
)

# A name that ends in `_random` has seeded random weights and says so.
NETWORKS = {
  'inception_v3': _INCEPTION,
  'inception_v3_random': _INCEPTION._replace(upstream=None),
}


def parse(name: str) -> tuple[str, str]:
  """Splits ``NETWORK[:TAP]``.

  Raises:
    UsageError: if there is no such network or tap, with the nearest one.
  """
  network, colon, tap = name.partition(':')
  if network not in NETWORKS:
    near = difflib.get_close_matches(network, NETWORKS, 1, 0.0)[0]
    raise UsageError(
      f'unknown network {network!r}; did you mean {near!r}? '
      f'Known: {", ".join(NETWORKS)}, segmenter:FOLDER'
    )
  architecture = NETWORKS[network]
  tap = tap if colon else architecture.default_tap
  if tap not in architecture.taps:
    raise UsageError(
      f'{network} has no tap {tap!r}; its taps: {", ".join(architecture.taps)}'
    )
  return network, tap
