import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.networks.layers import normalisation, NORMS
from genmed_jax.networks.resnet import ResNet, ResNetConfig
from genmed_jax.networks.unet import UNet, UNetConfig
from genmed_jax.training.functional import Functional


def unet(**options):
  config = UNetConfig(width=4, depth=2, **options)
  return Functional(lambda rngs: UNet(config, rngs=rngs))


@pytest.mark.parametrize('norm', NORMS)
def test_unet_shapes_and_locality(norm, random):
  network = unet(norm=norm, channels=2, outputs=3)
  weights = network.init(0)
  images = jnp.asarray(random.standard_normal((3, 16, 24, 2)), jnp.float32)
  apply = jax.jit(network)
  found = apply(weights, images)
  assert found.logits.shape == (3, 16, 24, 3)
  assert found.bottleneck.shape == (3, 16)
  alone = apply(weights, images[1:2])
  np.testing.assert_allclose(alone.logits[0], found.logits[1], atol=1e-5)


def test_unet_sides_must_be_halved():
  network = unet()
  with pytest.raises(ValueError, match='multiples of 4, not 16 x 18'):
    network(network.init(0), jnp.zeros((1, 16, 18, 1)))


@pytest.mark.parametrize(('layers', 'width'), [(18, 32), (50, 128)])
def test_resnet_shapes(layers, width):
  config = ResNetConfig(2, 5, layers, 4, 'group')
  network = Functional(lambda rngs: ResNet(config, rngs=rngs))
  found = jax.eval_shape(
    network, jax.eval_shape(lambda: network.init(0)), jnp.zeros((3, 32, 32, 2))
  )
  assert found.logits.shape == (3, 5)
  assert found.features.shape == (3, width)


def test_unknown_depths_and_norms():
  with pytest.raises(ValueError, match='18 or 50 layers, not 34'):
    Functional(lambda rngs: ResNet(ResNetConfig(layers=34), rngs=rngs))
  with pytest.raises(ValueError, match="not 'layer'"):
    normalisation('layer', 8, rngs=None)


def test_products_are_full_where_a_network_is_used():
  network, images = unet(), jnp.zeros((1, 16, 16, 1))
  used = jax.jit(network).lower(network.init(0), images).as_text()
  assert 'HIGHEST' in used
  assert 'DEFAULT' not in used
