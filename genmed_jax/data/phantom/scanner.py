"""Two scanners, which differ in contrast, noise, bias field and resolution."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from genmed_jax.data.phantom.chance import Draw
from genmed_jax.data.phantom.program import on_subjects
from genmed_jax.data.phantom.shapes import smooth_field, waves
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


# The second and third of a subject's three parts.
DRAWS = {
  'scanner': Draw((1,)),
  **waves('bias', (2, 0)),
  'grain': Draw((2, 1), None),
}


@on_subjects()
def acquire(
  drawn: dict, signal: jax.Array, *, noise, share_a
) -> tuple[jax.Array, jax.Array]:
  """The images that the scanners make of signals.

  Args:
    drawn: The subjects', as in :data:`DRAWS`.
    signal: ``[n, size, size]``, about 0 to 1.
    noise: Standard deviation of scanner A's Rician noise.
    share_a: Share of images from scanner A.

  Returns:
    ``[n, size, size]`` uint8, and the number ``[n]`` of each one's scanner in
    :data:`NAMES`.
  """
  size = signal.shape[0]
  which = (drawn['scanner'] >= share_a).astype(int)
  scanner = Scanner(*(jnp.array(values)[which] for values in _SCANNERS))
  signal = jnp.maximum(signal, 0.0) ** scanner.gamma
  signal = gaussian_blur(signal, scanner.blur * size)
  field = smooth_field(drawn['bias'], drawn['bias phase'], size, 1.5)
  signal *= 1 + scanner.bias * field
  grain = jax.random.wrap_key_data(drawn['grain'])
  n1, n2 = noise * scanner.noise * jax.random.normal(grain, (2, size, size))
  image = jnp.hypot(signal + n1, n2)
  return jnp.round(255 * jnp.clip(image, 0, 1)).astype(jnp.uint8), which
