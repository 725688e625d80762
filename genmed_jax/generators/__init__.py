"""Small generators of images, to compare families of them on any source.

Compact reference models, not the state of the art: what they are for is that
a comparison of generator families needs nobody's weights.
"""

from genmed_jax.generators import ddpm, vqvae, wgan

# Task -> the module of its learner.
GENERATORS = {'vae': vqvae, 'gan': wgan, 'ddpm': ddpm}
