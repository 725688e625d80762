from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.networks import unet


@pytest.fixture
def images(random):
  return jnp.asarray(random.normal(3.0, 2.0, (2, 6, 4, 16)), jnp.float32)


def test_doubling_is_a_transposed_convolution(images):
  ours = unet.Doubling(16, 3, rngs=nnx.Rngs(0))
  kernel = ours.linear.kernel[...].reshape(16, 2, 2, 3).transpose(1, 2, 0, 3)
  theirs = jax.lax.conv_transpose(images, kernel[::-1, ::-1], (2, 2), 'VALID')
  np.testing.assert_allclose(ours(images), theirs, atol=1e-5)


def test_halving_is_a_max_pool_and_so_is_its_gradient(images):
  def pooled(images):
    return nnx.max_pool(images, (2, 2), (2, 2))

  def slope(pool):
    return jax.grad(lambda images: jnp.square(pool(images)).sum())(images)

  np.testing.assert_array_equal(unet._halve(images), pooled(images))
  np.testing.assert_array_equal(slope(unet._halve), slope(pooled))


def test_sides_that_cannot_be_halved():
  config = unet.UNetConfig(width=8, depth=2)
  network = nnx.eval_shape(lambda: unet.UNet(config, rngs=nnx.Rngs(0)))
  with pytest.raises(ValueError, match='multiples of 4, not 6 x 8'):
    network(jnp.zeros((1, 6, 8, 1)))
