"""Networks that are trained here: pure functions, and folders that hold them.

Weights are dicts of arrays under dotted paths, the form in which
``networks.weights`` keeps them, so that optimisers, checkpoints and files all
see the same plain tree.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from flax import nnx
import jax
import numpy as np

from genmed_jax.errors import UsageError
from genmed_jax.networks import weights

Leaves = dict[str, jax.Array]


class Weights(NamedTuple):
  """What is trained, and what is averaged beside it (batch norms)."""

  params: Leaves
  stats: Leaves


class Functional:
  """A module as pure functions of its weights."""

  def __init__(self, build: Callable[[nnx.Rngs], nnx.Module]):
    """Traces ``build`` without making weights."""
    self._graph, *self._abstract = nnx.split(
      nnx.eval_shape(lambda: build(nnx.Rngs(0))), nnx.Param, ...
    )

  def init(self, seed: int) -> Weights:
    """Fresh weights, on the host; the same on every machine."""
    return Weights(
      *(
        weights.random_leaves(
          {path: leaf.shape for path, leaf in _leaves(state).items()}, seed
        )
        for state in self._abstract
      )
    )

  def __call__(self, of: Weights, *args, **options):
    """The module's output, as it is used."""
    return self.module(of)(*args, **options)

  def train(self, of: Weights, *args, **options):
    """The module's output on a training batch, and its new averages."""
    module = self.module(of)
    output = module(*args, train=True, **options)
    _, _, stats = nnx.split(module, nnx.Param, ...)
    return output, _leaves(stats)

  def module(self, of: Weights) -> nnx.Module:
    """The module itself, with these weights."""
    states = (
      nnx.from_flat_state(
        [
          (path, leaf.replace(leaves['.'.join(map(str, path))]))
          for path, leaf in nnx.to_flat_state(state)
        ]
      )
      for state, leaves in zip(self._abstract, of, strict=True)
    )
    return nnx.merge(self._graph, *states)


def _leaves(state) -> Leaves:
  return {
    '.'.join(map(str, path)): leaf.get_value()
    for path, leaf in nnx.to_flat_state(state)
  }


def save(folder: Path, kind: str, of: Weights, manifest: dict) -> None:
  """Writes a trained network in the place of an earlier one.

  Args:
    folder: Where; made, with those above it.
    kind: What it does, checked when it is loaded.
    of: Its weights.
    manifest: What it is and how good it is, for JSON.
  """
  leaves = {
    f'{part}/{path}': np.asarray(leaf)
    for part, tree in of._asdict().items()
    for path, leaf in tree.items()
  }
  described = {'kind': kind, 'sha256': weights.fingerprint(leaves)} | manifest
  weights.save(folder, leaves, described)


def load(folder: Path, *kinds: str) -> tuple[Weights, dict]:
  """Weights and manifest of a network that was trained here.

  Args:
    folder: Where it is.
    kinds: What it may do.

  Raises:
    UsageError: if there is none, or one of another kind.
  """
  try:
    leaves, manifest = weights.load(folder)
  except (OSError, ValueError) as error:
    raise UsageError(
      f'{folder}: no {" or ".join(kinds)} that `python -m genmed_jax.train` '
      'has finished'
    ) from error
  if (kind := manifest.get('kind')) not in kinds:
    raise UsageError(f'{folder}: holds a {kind}, not a {" or ".join(kinds)}')
  parts = Weights({}, {})
  for path, leaf in leaves.items():
    part, _, name = path.partition('/')
    getattr(parts, part)[name] = leaf
  return parts, manifest
