"""Networks as pure functions of their weights.

Weights are dicts of arrays under dotted paths, the form in which
``networks.weights`` keeps them, so that optimisers, checkpoints and files all
see the same plain tree.
"""

from collections.abc import Callable
from typing import NamedTuple

from flax import nnx
import jax

from genmed_jax.networks import weights

Leaves = dict[str, jax.Array]


class Weights(NamedTuple):
  """Parameters, and running averages of batch norms."""

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
    """The module's output, as it is used: in full float32 on a TPU too."""
    with jax.default_matmul_precision('highest'):
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
