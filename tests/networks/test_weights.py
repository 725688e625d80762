import json

import numpy as np
import pytest

from genmed_jax import convert, networks
from genmed_jax.networks import weights
from genmed_jax.networks.weights import Rule
from tests import inception_twin

RULES = (
  Rule(r'(\w+)\.weight', r'\1.kernel', 'conv'),
  Rule(r'(\w+)\.bias', r'\1.bias', 'same'),
  Rule(r'extra', None),
)
WANTED = {'a.kernel': (3, 1, 2, 4), 'a.bias': (4,)}


def tensors(random):
  return {
    'A.weight': random.standard_normal((4, 2, 3, 1)),
    'A.bias': random.standard_normal(4),
    'B.bias': np.zeros(9),
    'extra': np.zeros(2),
  }


def test_leaves_are_transposed_and_what_lies_beyond_is_passed_over(random):
  given = tensors(random)
  leaves = weights.fill_leaves(given, WANTED, [*WANTED, 'b.bias'], RULES)
  assert set(leaves) == set(WANTED)
  assert leaves['a.kernel'][2, 0, 1, 3] == np.float32(
    given['A.weight'][3, 1, 2, 0]
  )


def test_all_complaints_come_at_once(random):
  given = tensors(random) | {'head.scale': np.zeros(1)}
  given['A.bias'] = np.zeros(5)
  given['A.weight'][0] = np.nan
  wanted = WANTED | {'c.bias': (2,)}
  with pytest.raises(ValueError, match='5 tensors do not fit') as error:
    weights.fill_leaves(given, wanted, wanted, RULES)
  for complaint in (
    'A.weight: not finite',
    r'A.bias: (5,) where a.bias is (4,)',
    'B.bias: not a tensor of this network',
    'head.scale: not a tensor of this network',
    'c.bias: no tensor',
  ):
    assert complaint in str(error.value)


def test_folded_batch_norm_is_batch_norm(random):
  given = {
    'A.conv.weight': random.standard_normal((4, 2, 1, 1)).astype(np.float32),
    'A.bn.weight': random.uniform(0.5, 2, 4),
    'A.bn.bias': random.standard_normal(4),
    'A.bn.running_mean': random.standard_normal(4),
    'A.bn.running_var': random.uniform(0.5, 2, 4),
    'A.bn.num_batches_tracked': np.array(3),
    'fc.bias': np.zeros(3),
  }
  folded = weights.fold_batch_norm(given, epsilon=1e-3)
  assert set(folded) == {'A.weight', 'A.bias', 'fc.bias'}
  x = random.standard_normal(2)
  conv = given['A.conv.weight'][:, :, 0, 0] @ x
  expected = (conv - given['A.bn.running_mean']) / np.sqrt(
    given['A.bn.running_var'] + 1e-3
  ) * given['A.bn.weight'] + given['A.bn.bias']
  np.testing.assert_allclose(
    folded['A.weight'][:, :, 0, 0] @ x + folded['A.bias'], expected, rtol=1e-5
  )
  del given['A.bn.running_var']
  with pytest.raises(ValueError, match='no A.bn.running_var'):
    weights.fold_batch_norm(given, epsilon=1e-3)


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
  convert.convert('inception_v3', source, tmp_path)
  network = networks.load('inception_v3', cache_dir=tmp_path)
  assert network.taps == ('spatial', '2048', 'logits')
  assert not network.official
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
    convert.convert('inception_v3', source, tmp_path)
  path = convert.convert('inception_v3:768', source, tmp_path)
  manifest = json.loads((path / 'manifest.json').read_text())
  assert manifest['taps'] == ['64', '192', '768']
  assert manifest['sha256'] == weights.sha256_of(source)
  assert networks.load('inception_v3:768', cache_dir=tmp_path).taps == ('768',)
  with pytest.raises(
    FileNotFoundError, match='--network=inception_v3 --source'
  ):
    networks.load('inception_v3', cache_dir=tmp_path)


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


def test_torch_files_that_run_code_are_refused(tmp_path):
  torch = pytest.importorskip('torch')
  torch.save({'a': print}, tmp_path / 'evil.pth')
  with pytest.raises(ValueError, match='(?i)evil.pth cannot be read: weights'):
    weights.read_tensors(tmp_path / 'evil.pth')


def upstream(tmp_path, content):
  served = tmp_path / 'served.bin'
  served.write_bytes(content)
  return networks.Upstream(
    'file.bin', served.as_uri(), weights.sha256_of(served), 'none'
  )


def test_download_is_checked_kept_and_not_repeated(tmp_path):
  published = upstream(tmp_path, b'weights')
  path = convert.download(published, tmp_path / 'downloads')
  assert path.read_bytes() == b'weights'
  (tmp_path / 'served.bin').unlink()
  assert convert.download(published, tmp_path / 'downloads') == path


def test_a_wrong_download_leaves_nothing(tmp_path):
  published = upstream(tmp_path, b'weights')._replace(sha256='0' * 64)
  with pytest.raises(RuntimeError, match='not 0000'):
    convert.download(published, tmp_path / 'downloads')
  assert not list((tmp_path / 'downloads').iterdir())


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


def test_seeded_networks_have_nothing_to_convert(tmp_path):
  with pytest.raises(ValueError, match='nothing to convert'):
    convert.convert('inception_v3_random', tmp_path / 'x.npz', tmp_path)
