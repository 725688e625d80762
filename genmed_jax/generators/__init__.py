"""Small generators of images, to compare families of them on any source.

Compact reference models, not the state of the art: with them, a comparison of
generator families needs nobody's weights.
"""

from genmed_jax.generators import ddpm, vqvae, wgan

GENERATORS = {m.FAMILY.name: m.FAMILY for m in (vqvae, wgan, ddpm)}
