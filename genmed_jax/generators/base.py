"""The contract of a family of generators."""

from collections.abc import Callable
from typing import Any, NamedTuple


class GeneratorFamily(NamedTuple):
  """The declaration of a family of generators.

  Attributes:
    name: The task that trains one.
    config: NamedTuple of its networks' options.
    learner: ``(config, plan, steps, validation, mesh)`` to a
      ``training.loop.Learner`` with ``sampled(state)``, the weights to keep.
    sample: ``(config, weights, key)`` to an image ``[s, s, c]`` in [-1, 1].
    defaults: Of the training's options.
  """

  name: str
  config: type
  learner: Callable
  sample: Callable
  defaults: dict[str, Any]
