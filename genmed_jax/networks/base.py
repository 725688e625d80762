"""The contract of a feature network, and its declaration."""

from collections.abc import Callable
import hashlib
from typing import Any, NamedTuple

from genmed_jax.networks.preprocess import Preprocess
from genmed_jax.networks.weights import Rule

DTYPES = ('float32', 'bfloat16')

SEGMENTER = 'segmenter:'  # Begins the name of one, with its folder.


class Upstream(NamedTuple):
  """The published weights of a network."""

  file: str
  url: str
  sha256: str
  licence: str


class Architecture(NamedTuple):
  """The declaration of a network.

  Attributes:
    build: ``(taps, *, dtype)`` to the ``nnx.Module``, its leaves shapes.
    taps: Its outputs, from shallow to deep.
    optional: Tap to the tensor it needs and not every file has.
    default_tap: The feature vector where no tap is named.
    preprocess: From images to its input.
    rules: Upstream keys to leaves.
    prepare: Applied to upstream's tensors before the rules.
    upstream: The published weights; None for seeded random ones.
    earns: Names of metrics that are defined on the published weights.
  """

  build: Callable
  taps: tuple[str, ...]
  optional: dict[str, str]
  default_tap: str
  preprocess: Preprocess
  rules: tuple[Rule, ...]
  prepare: Callable
  upstream: Upstream | None
  earns: frozenset[str] = frozenset()


class FeatureNetwork(NamedTuple):
  """A network ready to run.

  Attributes:
    name: As it was asked for.
    tap: The output that is the feature vector.
    taps: All outputs of one pass: the feature vector and others beside it.
    preprocess: From a canvas of images to its input; a program of its own, so
      that a new canvas size does not recompile the network.
    apply: Pure ``(state, input) -> {tap: [b, d]}``.
    state: Its weights.
    provenance: Weights, preprocessing and dtype, for the results.
    earns: Names of metrics that are defined on exactly these features, such
      as ``fid``, where pixels are mapped by their dtype.
    notes: Metric to a note on its rows.
  """

  name: str
  tap: str
  taps: tuple[str, ...]
  preprocess: Preprocess
  apply: Callable
  state: Any
  provenance: dict
  earns: frozenset[str] = frozenset()
  notes: dict[str, str] = {}

  @property
  def identity(self) -> str:
    """A digest of everything the features depend on but the images."""
    described = sorted(self.provenance.items())
    return hashlib.sha256(repr(described).encode()).hexdigest()
