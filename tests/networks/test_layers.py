from flax import nnx
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.networks import layers


@pytest.mark.parametrize(('kind', 'groups'), [('group', 8), ('instance', 16)])
def test_norms_equal_flax(random, kind, groups):
  images = jnp.asarray(random.normal(3.0, 2.0, (2, 6, 4, 16)), jnp.float32)
  ours = layers.normalisation(kind, 16, rngs=nnx.Rngs(0))
  theirs = nnx.GroupNorm(16, num_groups=groups, rngs=nnx.Rngs(0))
  for leaf in ('scale', 'bias'):
    drawn = jnp.asarray(random.standard_normal(16), jnp.float32)
    setattr(ours, leaf, nnx.Param(drawn))
    setattr(theirs, leaf, nnx.Param(drawn))
  np.testing.assert_allclose(ours(images), theirs(images), atol=1e-5)


def test_an_unknown_norm():
  with pytest.raises(ValueError, match="group, instance, batch, not 'layer'"):
    layers.normalisation('layer', 16, rngs=nnx.Rngs(0))


def test_channels_that_make_no_groups():
  with pytest.raises(ValueError, match='not one that makes 12 channels'):
    layers.normalisation('group', 12, rngs=nnx.Rngs(0))


def test_patches_come_back(random):
  images = random.random((2, 8, 12, 3))
  patches = layers.space_to_depth(images, 2)
  assert patches.shape == (2, 4, 6, 12)
  np.testing.assert_array_equal(layers.depth_to_space(patches, 2), images)
  np.testing.assert_array_equal(
    patches[0, 1, 2].reshape(2, 2, 3), images[0, 2:4, 4:6]
  )
