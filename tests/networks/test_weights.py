import numpy as np
import pytest

from genmed_jax.errors import UsageError
from genmed_jax.networks import weights
from genmed_jax.networks.weights import Rule

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


@pytest.mark.parametrize(
  ('conv', 'norm'), [((4, 2, 1, 1), 3), ((4, 2), 4), ((4,), 4)]
)
def test_batch_norm_of_another_shape_is_refused(conv, norm):
  given = {'A.conv.weight': np.ones(conv, np.float32)} | {
    f'A.bn.{part}': np.ones(norm, np.float32)
    for part in ('weight', 'bias', 'running_mean', 'running_var')
  }
  with pytest.raises(UsageError, match='A.conv and A.bn are not of one shape'):
    weights.fold_batch_norm(given, epsilon=1e-3)


def test_a_broken_manifest_is_named(tmp_path):
  (tmp_path / 'manifest.json').write_text('{')
  with pytest.raises(UsageError, match='manifest.json is broken'):
    weights.load(tmp_path)


def test_torch_files_that_run_code_are_refused(tmp_path):
  torch = pytest.importorskip('torch')
  torch.save({'a': print}, tmp_path / 'evil.pth')
  with pytest.raises(ValueError, match='(?i)evil.pth cannot be read: weights'):
    weights.read_tensors(tmp_path / 'evil.pth')
