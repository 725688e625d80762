from pathlib import Path

import numpy as np
import pytest

from genmed_jax import networks
from genmed_jax.networks import registry, weights


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('inception_v4', "did you mean 'inception_v3'"),
    ('inception_v3:1024', 'no tap .1024.; its taps: 64, 192, spatial'),
  ],
)
def test_unknown_networks_and_taps(name, message):
  with pytest.raises(ValueError, match=message):
    networks.parse(name)


def test_missing_weights_say_what_to_get_and_how(tmp_path):
  with pytest.raises(FileNotFoundError) as error:
    networks.load('inception_v3', cache_dir=tmp_path)
  for part in (
    'inception_v3 has no converted weights',
    'pt_inception-2015-12-05-6726825d.pth',
    '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2',
    'python -m genmed_jax.convert --network=inception_v3',
    '--download',
  ):
    assert part in str(error.value)


def keep_weights(cache_dir, name, sha256, taps):
  """Keeps random weights as if they were converted from a file."""
  leaves = weights.random_leaves(registry.leaves_of('inception_v3', taps), 1)
  manifest = {'taps': taps, 'sha256': sha256}
  weights.save(weights.folder(cache_dir, name), leaves, manifest)
  return leaves


def test_published_weights_alone_earn_the_name_of_the_fid(
  tmp_path, monkeypatch
):
  declared = networks.NETWORKS['inception_v3']
  assert declared.default_tap == '2048'
  # A shallow network is as good here, and soon there.
  shallow = declared._replace(default_tap='64')
  monkeypatch.setitem(networks.NETWORKS, 'inception_v3', shallow)

  def earns(name='inception_v3', **options):
    return networks.load(name, cache_dir=tmp_path, **options).earns

  published = declared.upstream.sha256
  keep_weights(tmp_path, 'inception_v3', published, ['64', '192'])
  assert earns() == earns('inception_v3:64') == {'fid'}
  assert not earns('inception_v3:192')
  assert not earns(resize='clean')
  assert not earns(dtype='bfloat16')
  assert not earns('inception_v3_random:64')
  keep_weights(tmp_path, 'inception_v3', 'of another file', ['64', '192'])
  assert not earns()


def test_weights_are_looked_for_at_home(tmp_path, monkeypatch):
  leaves = keep_weights(tmp_path, 'inception_v3:64', 'any', ['64'])
  monkeypatch.setenv('GENMED_JAX_HOME', str(tmp_path))
  network = networks.load('inception_v3:64', cache_dir=None)
  named = networks.load('inception_v3:64', cache_dir=tmp_path)
  assert network.identity == named.identity
  np.testing.assert_array_equal(
    network.state['conv2d_1a_3x3']['kernel'][...],
    leaves['conv2d_1a_3x3.kernel'],
  )
  monkeypatch.delenv('GENMED_JAX_HOME')
  monkeypatch.setattr(Path, 'home', lambda: tmp_path / 'somebody')
  home = tmp_path / 'somebody' / '.cache' / 'genmed_jax'
  assert weights.home() == home
  with pytest.raises(FileNotFoundError, match=f'weights in {home}; get'):
    networks.load('inception_v3:64', cache_dir=None)
