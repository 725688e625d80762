"""Two scanners, which differ in contrast, noise, bias field and resolution."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from genmed_jax.data.phantom.shapes import smooth_field
from genmed_jax.engine.filters import gaussian_blur

NAMES = ('A', 'B')


class Scanner(NamedTuple):
  """Settings of the scanners, an entry per scanner.

  Attributes:
    gamma: Of the signal: contrast between dark and bright tissue.
    noise: Of the Rician noise, in units of the noise that was asked for.
    bias: Amplitude of the smooth gain field.
    blur: Standard deviation of the point spread, in widths of the image.
  """

  gamma: tuple[float, float]
  noise: tuple[float, float]
  bias: tuple[float, float]
  blur: tuple[float, float]


_SCANNERS = Scanner(
  gamma=(1.0, 0.82),
  noise=(1.0, 1.8),
  bias=(0.10, 0.18),
  blur=(0.003, 0.007),
)


def acquire(
  key: jax.Array, signal: jax.Array, which: jax.Array, noise
) -> jax.Array:
  """The image that a scanner makes of a signal.

  Args:
    key: Of the acquisition.
    signal: ``[size, size]``, about 0 to 1.
    which: Number of the scanner, in :data:`NAMES`.
    noise: Standard deviation of scanner A's Rician noise.

  Returns:
    ``[size, size]`` uint8.
  """
  size = signal.shape[0]
  field, grain = jax.random.split(key)
  scanner = Scanner(*(jnp.array(values)[which] for values in _SCANNERS))
  signal = jnp.maximum(signal, 0.0) ** scanner.gamma
  signal = gaussian_blur(signal, scanner.blur * size)
  signal *= 1 + scanner.bias * smooth_field(field, size, 1.5)
  n1, n2 = noise * scanner.noise * jax.random.normal(grain, (2, size, size))
  image = jnp.hypot(signal + n1, n2)
  return jnp.round(255 * jnp.clip(image, 0, 1)).astype(jnp.uint8)
