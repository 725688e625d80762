import numpy as np
import pytest

from genmed_jax.networks.unet import UNet, UNetConfig
from genmed_jax.training.checkpoints import load_network, save_network
from genmed_jax.training.functional import Functional, Weights


def test_saved_networks_come_back(tmp_path):
  config = UNetConfig(width=4, depth=2, norm='batch')
  network = Functional(lambda rngs: UNet(config, rngs=rngs))
  weights = network.init(3)
  save_network(tmp_path / 'a' / 'net', 'segmenter', weights, {'note': 1})
  found, manifest = load_network(tmp_path / 'a' / 'net', 'segmenter')
  assert manifest['note'] == 1
  for part, same in zip(weights, found, strict=True):
    assert part.keys() == same.keys()
    for path in part:
      np.testing.assert_array_equal(part[path], same[path])
  with pytest.raises(ValueError, match='holds a segmenter, not a judge'):
    load_network(tmp_path / 'a' / 'net', 'judge')
  with pytest.raises(ValueError, match='no segmenter that'):
    load_network(tmp_path / 'nothing', 'segmenter')
  assert isinstance(found, Weights)
