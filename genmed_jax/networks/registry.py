"""The networks by name: ``NETWORK[:TAP]``."""

from collections.abc import Collection
import difflib
import functools
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.feature_set import OUTPUTS
from genmed_jax.errors import UsageError
from genmed_jax.networks import inception, weights
from genmed_jax.networks.base import FeatureNetwork

_SEED = 0  # Of random weights.


# A name that ends in `_random` has seeded random weights and says so.
NETWORKS = {
  'inception_v3': inception.ARCHITECTURE,
  'inception_v3_random': inception.ARCHITECTURE._replace(upstream=None),
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
  from flax import nnx

  # Else a TPU rounds what it multiplies to bfloat16.
  with jax.default_matmul_precision('highest'):
    return nnx.merge(graph, state)(images)


def abstract_network(network: str, taps, dtype: str = 'float32'):
  """Graph and abstract state of a network, without making its weights."""
  from flax import nnx  # Half a second, which features alone do not need.

  return nnx.split(NETWORKS[network].build(taps, dtype=jnp.dtype(dtype)))


def leaves_of(network: str, taps) -> dict[str, tuple[int, ...]]:
  """Dotted path to shape, for every leaf of a network with these taps."""
  return _leaf_shapes(abstract_network(network, taps)[1])


def _leaf_shapes(state) -> dict[str, tuple[int, ...]]:
  from flax import nnx

  return {
    '.'.join(map(str, path)): leaf.shape
    for path, leaf in nnx.to_flat_state(state)
  }


def fill(abstract, leaves: dict[str, np.ndarray]):
  """The abstract state with its leaves in place, on the host."""
  from flax import nnx

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
