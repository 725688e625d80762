"""The networks by name: ``NETWORK[:TAP]``."""

from collections.abc import Callable, Collection
import difflib
import functools
import os
from pathlib import Path
from typing import NamedTuple

from flax import nnx
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.feature_set import OUTPUTS
from genmed_jax.errors import UsageError
from genmed_jax.networks import inception, weights
from genmed_jax.networks.base import FeatureNetwork
from genmed_jax.networks.preprocess import Preprocess
from genmed_jax.networks.weights import Rule

_SEED = 0  # Of random weights.


class Upstream(NamedTuple):
  """The published weights of a network."""

  file: str
  url: str
  sha256: str
  licence: str


class Architecture(NamedTuple):
  """The declaration of a network.

  Attributes:
    build: ``(taps, *, dtype)`` to the module, with shapes for its leaves.
    taps: Its outputs, from shallow to deep.
    optional: Tap to the tensor it needs and not every file has.
    default_tap: The feature vector where no tap is named.
    preprocess: From images to its input.
    rules: Upstream keys to leaves.
    prepare: Applied to upstream's tensors before the rules.
    upstream: The published weights; None for seeded random ones.
    earns: Names of metrics that are defined on the published weights.
  """

  build: Callable[..., nnx.Module]
  taps: tuple[str, ...]
  optional: dict[str, str]
  default_tap: str
  preprocess: Preprocess
  rules: tuple[Rule, ...]
  prepare: Callable
  upstream: Upstream | None
  earns: frozenset[str] = frozenset()


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
  earns=frozenset({'fid'}),
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


def load(
  name: str,
  *,
  cache_dir: str | os.PathLike | None = None,
  beside: Collection[str] = (),
  resize: str = 'tf1',
  dtype: str = 'float32',
) -> FeatureNetwork:
  """Makes the network ``NETWORK[:TAP]`` ready.

  Args:
    name: The network, with a tap.
    cache_dir: Folder of converted weights, under ``weights/``; the home
      folder if None.
    beside: Other taps wanted from the same pass, where the weights reach
      them; those of ``feature_set.OUTPUTS`` cost the default tap nothing and
      always come along.
    resize: One of ``preprocess.RESIZES``.
    dtype: Number format of convolutions, one of ``base.DTYPES``.

  Raises:
    UsageError: if there is no such network or tap.
    FileNotFoundError: if its weights have not been converted; the message
      says which file to get and how.
  """
  network, tap = parse(name)
  architecture = NETWORKS[network]
  config = architecture.preprocess._replace(resize=resize)
  earns = frozenset()
  if architecture.upstream is None:
    served = architecture.taps
    manifest = {'source': 'seeded random weights', 'seed': _SEED}
  else:
    folder = weights.home() if cache_dir is None else Path(cache_dir)
    stored, manifest = _stored(network, tap, folder)
    served = manifest['taps']
    if (
      manifest['sha256'] == architecture.upstream.sha256
      and tap == architecture.default_tap
      and dtype == 'float32'
      and resize == 'tf1'
    ):
      earns = architecture.earns
  if tap == architecture.default_tap:
    beside = OUTPUTS
  wanted = {tap} | set(beside) & set(served)
  taps = tuple(t for t in architecture.taps if t in wanted)
  graph, abstract = abstract_network(network, taps, dtype)
  shapes = _leaf_shapes(abstract)
  leaves = (
    weights.random_leaves(shapes, _SEED)
    if architecture.upstream is None
    else {path: stored[path] for path in shapes}
  )
  provenance = {
    'network': network,
    **{k: v for k, v in manifest.items() if k not in ('taps', 'network')},
    'weights_sha256': weights.fingerprint(leaves),
    'preprocess': config._asdict(),
    'dtype': dtype,
  }
  return FeatureNetwork(
    name=name,
    tap=tap,
    taps=taps,
    preprocess=config,
    apply=functools.partial(_apply, graph),
    state=fill(abstract, leaves),
    provenance=provenance,
    earns=earns,
  )


def _apply(graph, state, images):
  return nnx.merge(graph, state)(images)


def abstract_network(network: str, taps, dtype: str = 'float32'):
  """Graph and abstract state of a network, without making its weights."""
  return nnx.split(NETWORKS[network].build(taps, dtype=jnp.dtype(dtype)))


def leaves_of(network: str, taps) -> dict[str, tuple[int, ...]]:
  """Dotted path to shape, for every leaf of a network with these taps."""
  return _leaf_shapes(abstract_network(network, taps)[1])


def _leaf_shapes(state) -> dict[str, tuple[int, ...]]:
  return {
    '.'.join(map(str, path)): leaf.shape
    for path, leaf in nnx.to_flat_state(state)
  }


def fill(abstract, leaves: dict[str, np.ndarray]):
  """The abstract state with its leaves in place, on the host."""
  flat = [
    (path, leaf.replace(leaves['.'.join(map(str, path))]))
    for path, leaf in nnx.to_flat_state(abstract)
  ]
  return nnx.from_flat_state(flat)


def _stored(network: str, tap: str, cache_dir: Path):
  """The converted weights that serve ``tap``: its own, or the whole ones."""
  for name in (f'{network}:{tap}', network):
    path = weights.folder(cache_dir, name)
    if path.exists():
      leaves, manifest = weights.load(path)
      if tap in manifest['taps']:
        return leaves, manifest
  upstream = NETWORKS[network].upstream
  wanted = (
    network if tap == NETWORKS[network].default_tap else (f'{network}:{tap}')
  )
  raise FileNotFoundError(
    f'{wanted} has no converted weights in {cache_dir}; get {upstream.file} '
    f'(sha256 {upstream.sha256}) and run: python -m genmed_jax.convert '
    f'--network={wanted} --source={upstream.file} (or --download)'
  )
