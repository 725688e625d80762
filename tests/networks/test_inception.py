from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax import networks
from genmed_jax.networks import inception, registry, weights
from genmed_jax.networks.preprocess import Preprocess, preprocess
from tests import inception_twin

TAPS = inception_twin.TAPS


@pytest.fixture(scope='module')
def state():
  return inception_twin.random_state(inception_twin.upstream_shapes())


@pytest.fixture(scope='module')
def forward(state):
  """Our network with the twin's weights, converted as a file's would be."""
  tensors = inception.upstream_tensors(state)
  wanted = registry.leaves_of('inception_v3', TAPS)
  leaves = weights.fill_leaves(tensors, wanted, wanted, inception.RULES)
  graph, abstract = registry.abstract_network('inception_v3', TAPS)
  filled = registry.fill(abstract, leaves)

  @jax.jit
  def run(images, sizes, resize_is_tf1):
    inputs = jax.lax.cond(
      resize_is_tf1,
      lambda: preprocess(images, sizes, Preprocess(resize='tf1')),
      lambda: preprocess(images, sizes, Preprocess(resize='clean')),
    )
    return nnx.merge(graph, filled)(inputs)

  return run


@pytest.mark.parametrize('resize', ['tf1', 'clean'])
def test_every_tap_equals_the_torch_twin(forward, resize):
  images = inception_twin.random_images()
  sizes = jnp.array([images.shape[1:3]] * 2)
  features = forward(images, sizes, resize == 'tf1')
  goldens = np.load(inception_twin.GOLDENS)
  for tap in TAPS:
    golden = goldens[f'{resize}_{tap}']
    error = np.abs(features[tap] - golden).max() / np.abs(golden).max()
    assert error < 1e-4, tap


def test_goldens_are_those_of_the_installed_peer(state):
  pytest.importorskip('torch')
  pytest.importorskip('torch_fidelity')
  images = inception_twin.random_images()
  features = inception_twin.torch_features(images, 'tf1', state)
  goldens = np.load(inception_twin.GOLDENS)
  for tap in TAPS:
    np.testing.assert_allclose(
      features[tap], goldens[f'tf1_{tap}'], rtol=1e-3, atol=1e-4
    )


def test_network_is_as_deep_as_its_tap():
  shallow = registry.leaves_of('inception_v3', ('192',))
  assert {path.split('.')[0] for path in shallow} == {
    'conv2d_1a_3x3',
    'conv2d_2a_3x3',
    'conv2d_2b_3x3',
    'conv2d_3b_1x1',
    'conv2d_4a_3x3',
  }


def test_shallow_random_network_has_the_deep_ones_weights(tmp_path):
  deep = networks.load('inception_v3_random:192', cache_dir=tmp_path)
  shallow = networks.load('inception_v3_random:64', cache_dir=tmp_path)
  image = jnp.linspace(-1, 1, 299 * 299 * 3).reshape(1, 299, 299, 3)
  deep_leaf = deep.state['conv2d_1a_3x3']['kernel']
  np.testing.assert_array_equal(
    deep_leaf[...], shallow.state['conv2d_1a_3x3']['kernel'][...]
  )
  features = shallow.apply(shallow.state, image)
  assert features['64'].shape == (1, 64)
  assert not shallow.earns
