"""The signal of a phantom, before it is scanned."""

from typing import NamedTuple

import jax


class Drawing(NamedTuple):
  """One subject, before it is scanned.

  Attributes:
    signal: ``[size, size]`` float32, about 0 to 1.
    mask: ``[size, size]`` bool, the tumour or the vessels.
    tissue: ``[size, size]`` uint8, which tissue each pixel is.
    kind: Which class the subject is of.
  """

  signal: jax.Array
  mask: jax.Array
  tissue: jax.Array
  kind: jax.Array
