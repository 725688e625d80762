import json

import numpy as np
import pytest

from genmed_jax import networks
from genmed_jax.networks import conversion, weights
from tests import inception_twin


@pytest.fixture(scope='module')
def state():
  return inception_twin.random_state(inception_twin.upstream_shapes())


def write(path, state):
  if path.suffix == '.npz':
    np.savez(path, **state)
  elif path.suffix == '.safetensors':
    pytest.importorskip('safetensors.numpy').save_file(state, path)
  else:
    torch = pytest.importorskip('torch')
    torch.save({k: torch.from_numpy(v) for k, v in state.items()}, path)
  return path


@pytest.mark.parametrize('suffix', ['.npz', '.safetensors', '.pth'])
def test_every_file_type_converts_to_the_same_network(tmp_path, state, suffix):
  source = write(tmp_path / f'weights{suffix}', state)
  conversion.convert('inception_v3', source, tmp_path)
  network = networks.load('inception_v3', cache_dir=tmp_path)
  assert network.taps == ('spatial', '2048', 'logits')
  assert not network.earns
  spatial = networks.load('inception_v3:spatial', cache_dir=tmp_path)
  np.testing.assert_array_equal(
    spatial.state['spatial']['kernel'][0, 0],
    state['Mixed_6d.branch1x1.conv.weight'][:7, :, 0, 0].T,
  )


def test_partial_folded_weights_serve_the_taps_they_reach(tmp_path, state):
  folded = weights.fold_batch_norm(state, epsilon=1e-3)
  partial = {k: v for k, v in folded.items() if not k.startswith('Mixed_7b')}
  source = write(tmp_path / 'partial.npz', partial)
  with pytest.raises(ValueError, match='mixed_7b.branch1x1.kernel: no tensor'):
    conversion.convert('inception_v3', source, tmp_path)
  path = conversion.convert('inception_v3:768', source, tmp_path)
  manifest = json.loads((path / 'manifest.json').read_text())
  assert manifest['taps'] == ['64', '192', '768']
  assert manifest['sha256'] == weights.sha256_of(source)
  assert networks.load('inception_v3:768', cache_dir=tmp_path).taps == ('768',)
  with pytest.raises(
    FileNotFoundError, match='--network=inception_v3 --source'
  ):
    networks.load('inception_v3', cache_dir=tmp_path)


def test_seeded_networks_have_nothing_to_convert(tmp_path):
  with pytest.raises(ValueError, match='nothing to convert'):
    conversion.convert('inception_v3_random', tmp_path / 'x.npz', tmp_path)


@pytest.fixture
def published(tmp_path, monkeypatch):
  """The declaration of a network whose published file is a few bytes."""
  served = tmp_path / 'served.bin'
  served.write_bytes(b'weights')
  sha256 = weights.sha256_of(served)
  upstream = networks.Upstream('file.bin', served.as_uri(), sha256, 'none')
  declared = networks.NETWORKS['inception_v3']._replace(upstream=upstream)
  monkeypatch.setitem(networks.NETWORKS, 'inception_v3', declared)
  return declared


def test_download_is_checked_kept_and_not_repeated(tmp_path, published):
  path = conversion.download('inception_v3', tmp_path / 'downloads')
  assert path == tmp_path / 'downloads' / published.upstream.file
  assert path.read_bytes() == b'weights'
  (tmp_path / 'served.bin').unlink()
  for name in ('inception_v3', 'inception_v3:768'):
    assert conversion.download(name, tmp_path / 'downloads') == path


def test_a_wrong_download_leaves_nothing(tmp_path, published, monkeypatch):
  wrong = published.upstream._replace(sha256='0' * 64)
  declared = published._replace(upstream=wrong)
  monkeypatch.setitem(networks.NETWORKS, 'inception_v3', declared)
  with pytest.raises(RuntimeError, match='not 0000'):
    conversion.download('inception_v3', tmp_path / 'downloads')
  assert not list((tmp_path / 'downloads').iterdir())


def test_seeded_networks_have_nothing_to_download(tmp_path):
  with pytest.raises(ValueError, match='nothing to download'):
    conversion.download('inception_v3_random', tmp_path)
  assert not list(tmp_path.iterdir())
