"""Feature networks by name: ``NETWORK[:TAP]``."""

from collections.abc import Callable, Collection
import functools
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from flax import nnx
import jax.numpy as jnp
import numpy as np

from genmed_jax.data.features import BESIDE
from genmed_jax.networks import weights
from genmed_jax.networks.preprocess import Preprocess
from genmed_jax.networks.registry import NETWORKS, parse, Upstream

__all__ = [
  'abstract_network',
  'DTYPES',
  'FeatureNetwork',
  'fill',
  'leaves_of',
  'load',
  'NETWORKS',
  'parse',
  'Upstream',
]

DTYPES = ('float32', 'bfloat16')

_SEED = 0  # Of random weights.


class FeatureNetwork(NamedTuple):
  """A network ready to run.

  Attributes:
    name: As it was asked for.
    tap: Which output is the feature vector.
    taps: All outputs of one pass: the feature vector and what is beside it.
    preprocess: What turns a canvas of images into its input; a program of
      its own, so that a new canvas size does not recompile the network.
    apply: Pure ``(state, input) -> {tap: [b, d]}``.
    state: Its weights.
    provenance: Weights, preprocessing and dtype, for the results.
    official: Whether the features are those the FID is defined on.
    notes: Metric to what its rows must say.
  """

  name: str
  tap: str
  taps: tuple[str, ...]
  preprocess: Preprocess
  apply: Callable
  state: Any
  provenance: dict
  official: bool
  notes: dict[str, str] = {}

  @property
  def identity(self) -> str:
    """A digest of everything the features depend on but the images."""
    described = sorted(self.provenance.items())
    return hashlib.sha256(repr(described).encode()).hexdigest()


def load(
  name: str,
  *,
  cache_dir: Path,
  beside: Collection[str] = (),
  resize: str = 'tf1',
  dtype: str = 'float32',
) -> FeatureNetwork:
  """Makes the network ``NETWORK[:TAP]`` ready.

  Args:
    name: Which one.
    cache_dir: Where converted weights lie, under ``weights/``.
    beside: Other taps wanted from the same pass, where the weights reach
      them; those of ``features.BESIDE`` cost the default tap nothing and always
      come along.
    resize: One of ``preprocess.RESIZES``.
    dtype: What convolutions compute in, one of :data:`DTYPES`.

  Raises:
    UsageError: if there is no such network or tap.
    FileNotFoundError: if its weights have not been converted; the message
      says which file to get and how.
  """
  network, tap = parse(name)
  architecture = NETWORKS[network]
  config = architecture.preprocess._replace(resize=resize)
  official = False
  if architecture.upstream is None:
    served = architecture.taps
    manifest = {'source': 'seeded random weights', 'seed': _SEED}
  else:
    stored, manifest = _stored(network, tap, cache_dir)
    served = manifest['taps']
    official = (
      manifest['sha256'] == architecture.upstream.sha256
      and tap == architecture.default_tap
      and dtype == 'float32'
      and resize == 'tf1'
    )
  if tap == architecture.default_tap:
    beside = BESIDE
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
    official=official,
  )


def _apply(graph, state, images):
  return nnx.merge(graph, state)(images)


def abstract_network(network: str, taps, dtype: str = 'float32'):
  """Graph and abstract state of a network, without making its weights."""
  build = NETWORKS[network].build
  return nnx.split(
    nnx.eval_shape(
      lambda: build(taps, dtype=jnp.dtype(dtype), rngs=nnx.Rngs(0))
    )
  )


def leaves_of(network: str, taps) -> dict[str, tuple[int, ...]]:
  """Dotted path to shape, for every leaf of a network with these taps."""
  return _leaf_shapes(abstract_network(network, taps)[1])


def _leaf_shapes(state) -> dict[str, tuple[int, ...]]:
  return {
    '.'.join(map(str, path)): leaf.shape
    for path, leaf in nnx.to_flat_state(state)
  }


def fill(abstract, leaves: dict[str, np.ndarray]):
  """The abstract state with its leaves in place."""
  flat = [
    (path, leaf.replace(jnp.asarray(leaves['.'.join(map(str, path))])))
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
