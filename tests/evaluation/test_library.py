import doctest
import inspect

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import genmed_jax
from genmed_jax.errors import DecodeError, UsageError
from genmed_jax.evaluation import library
from genmed_jax.evaluation.config import EvaluationConfig
from genmed_jax.report.results import Result

NETWORK = 'inception_v3_random:64'


@pytest.fixture
def images(random):
  """Real and generated images, as many of each."""
  return random.integers(0, 255, (2, 24, 16, 16)).astype(np.uint8)


def by_metric(evaluation):
  return {row.metric: row.value for row in evaluation.rows}


def test_arrays_of_features_need_no_network(random):
  real, fake = random.standard_normal((2, 60, 6))
  evaluation = genmed_jax.score(real, fake, metrics='fd,authpct')
  assert [row.metric for row in evaluation.rows] == ['fd', 'authpct']
  assert {row.generated for row in evaluation.rows} == {'generated'}
  expected = genmed_jax.metrics.frechet_distance(real, fake).value
  np.testing.assert_allclose(by_metric(evaluation)['fd'], expected, rtol=1e-9)
  assert evaluation.rows[0]._fields == Result._fields


def test_images_in_arrays_and_in_files_score_alike(
  images, image_folder, tmp_path
):
  real, fake = images
  given = {'features': [NETWORK], 'metrics': ['fd', 'kid'], 'bootstrap': 0}
  arrays = genmed_jax.score(jnp.asarray(real), {'fake': fake}, **given)
  folders = genmed_jax.score(
    image_folder('real', real), image_folder('fake', fake), **given
  )
  assert by_metric(arrays) == pytest.approx(by_metric(folders), rel=1e-6)
  assert [r.note for r in arrays.rows] == [r.note for r in folders.rows]
  assert arrays.flag_file is None
  assert arrays.provenance['flags']['reference'] == 'array uint8 [24, 16, 16]'
  assert f'--generated={tmp_path / "fake"}' in folders.flag_file


def test_features_are_kept_only_where_asked_and_by_content(
  images, tmp_path, monkeypatch
):
  monkeypatch.setenv('GENMED_JAX_HOME', str(tmp_path / 'home'))
  real, fake = images
  given = {'features': NETWORK, 'metrics': 'fd'}
  first = genmed_jax.score(real, fake, **given)
  assert not list(tmp_path.iterdir())
  given['cache_dir'] = tmp_path / 'cache'
  again = genmed_jax.score(real, fake, **given)
  assert by_metric(again) == pytest.approx(by_metric(first), rel=1e-5)
  assert len(list((tmp_path / 'cache' / 'features').iterdir())) == 2
  genmed_jax.score(real, fake, **given)
  assert len(list((tmp_path / 'cache' / 'features').iterdir())) == 2
  fake[3] ^= 1  # In place: the same object, other images.
  genmed_jax.score(real, fake, **given)
  assert len(list((tmp_path / 'cache' / 'features').iterdir())) == 3


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    ({'metric': 'fd'}, "unknown option 'metric'; did you mean 'metrics'"),
    ({'bootstrap': -1}, '`bootstrap=-1`: accepted is 0 or more'),
    ({'bootstrap': 2.5}, '`bootstrap=2.5`: accepted is an int'),
    ({'on_error': 'stop'}, '`on_error=.stop.`: accepted is one of fail, skip'),
    ({'metrics': 'fdd'}, "unknown metric 'fdd'; did you mean 'fd'"),
    ({'intensity': 'x'}, '`intensity=.x.`: accepted are dtype'),
    ({'group_by': 'class'}, 'reference has no such column; it has none'),
    ({'metrics': ''}, '`metrics` is empty'),
    ({'metrics': 3}, '`metrics=3`: accepted is a sequence of names'),
    ({'features': [1]}, r'`features=\(1,\)`: accepted is a sequence of names'),
    ({'seed': float('nan')}, '`seed=nan`: accepted is an int'),
    ({'train': np.zeros((9, 5))}, 'reference has 6, train 5'),
    ({'generated': {}}, '`generated` is empty'),
    ({'generated': np.zeros((9, 8, 8))}, 'must hold the one or the other'),
    ({'generated': {'é' * 150: np.zeros((9, 6))}}, 'too long for a file'),
    ({'generated': 'nowhere'}, "'nowhere': no such file or folder"),
    ({'generated': np.zeros((1, 6))}, 'generated: needs at least 2 images'),
    ({'generated': np.zeros((9, 6), int)}, 'features must be floats'),
    ({'generated': [np.zeros((9, 6))] * 2}, 'two generated sets are called'),
  ],
)
def test_mistakes_are_named_as_python_has_them(random, given, message):
  sets = {'reference': random.standard_normal((9, 6))}
  sets['generated'] = random.standard_normal((9, 6))
  with pytest.raises(UsageError, match=message):
    genmed_jax.score(**(sets | given))


@pytest.mark.parametrize('function', [genmed_jax.score, genmed_jax.Evaluator])
def test_options_are_those_of_the_config(function):
  shown = set(inspect.signature(function).parameters) - {'self'}
  options = set(EvaluationConfig.__dataclass_fields__)
  assert options - {'generated'} == shown - {'generated'}
  documented = inspect.getdoc(function) + (function.__init__.__doc__ or '')
  assert all(f'  {name}: ' in documented for name in options - {'generated'})


class Decoder(nnx.Module):
  """The smallest generator of images of 16 x 16 pixels."""

  def __init__(self, rngs):
    self.layer = nnx.Linear(8, 256, rngs=rngs)

  def __call__(self, latent):
    return nnx.sigmoid(self.layer(latent)).reshape(-1, 16, 16)


def test_later_epochs_of_a_training_loop_compile_nothing(random, compiled):
  real = np.float32(random.random((40, 16, 16)))
  evaluator = genmed_jax.Evaluator(
    real, features=NETWORK, metrics='fd,authpct', bootstrap=0
  )
  graph, state = nnx.split(Decoder(nnx.Rngs(0)))
  optimiser = optax.adam(1e-2)
  opt_state = optimiser.init(state)
  latents = np.float32(random.standard_normal((40, 8)))

  @jax.jit
  def step(state, opt_state):
    def loss(state):
      return jnp.mean((nnx.merge(graph, state)(latents) - real) ** 2)

    updates, opt_state = optimiser.update(jax.grad(loss)(state), opt_state)
    return optax.apply_updates(state, updates), opt_state

  draw = jax.jit(lambda state: nnx.merge(graph, state)(latents))
  found, counts = [], []
  for _ in range(3):
    for _ in range(5):
      state, opt_state = step(state, opt_state)
    found.append(by_metric(evaluator(np.asarray(draw(state)))))
    counts.append(len(compiled))
  assert all(set(each) == {'fd', 'authpct'} for each in found)
  assert found[0]['fd'] != found[-1]['fd']
  assert counts[0] > 0
  assert counts[0] == counts[1] == counts[2]


def test_the_reference_is_read_once(images, monkeypatch):
  from genmed_jax.extraction.extractor import Extractor

  real, fake = images
  evaluator = genmed_jax.Evaluator(real, features=NETWORK, metrics='kid')
  read, extract = [], Extractor.__call__

  def recorded(self, source):
    read.append(source.name)
    return extract(self, source)

  monkeypatch.setattr(Extractor, '__call__', recorded)
  one, two = evaluator(fake, name='a'), evaluator(fake, name='b')
  assert read == ['a', 'b']
  assert by_metric(one) == pytest.approx(by_metric(two), rel=1e-6)


def test_batches_score_as_the_whole(images):
  real, fake = images
  given = {'features': NETWORK, 'metrics': 'fd,realism', 'batch_size': 4}
  evaluator = genmed_jax.Evaluator(real, **given)
  with pytest.raises(UsageError, match='nothing to score'):
    evaluator.compute()
  for size in (1, 8, 15):
    evaluator.update(fake[:size])
    fake = fake[size:]
  batches = evaluator.compute()
  whole = evaluator(images[1])
  assert by_metric(batches) == pytest.approx(by_metric(whole), rel=1e-4)
  assert [s['image'] for s in batches.samples['generated']] == list(range(24))
  evaluator.reset()
  with pytest.raises(UsageError, match='nothing to score'):
    evaluator.compute()
  with pytest.raises(UsageError, match='generated holds features'):
    evaluator(np.zeros((9, 64)))


def test_batches_are_copied_and_numbered(random):
  real, fake = random.standard_normal((2, 30, 6))
  evaluator = genmed_jax.Evaluator(
    real, metrics='fd,realism', write_ids=True, bootstrap=0
  )
  real[:], buffer = 0, np.empty((10, 6))
  for start in (0, 10, 20):
    buffer[:] = fake[start : start + 10]
    evaluator.update(buffer)
  batches, whole = evaluator.compute(), evaluator(fake)
  assert batches.rows == whole.rows
  assert batches.samples == whole.samples
  assert batches.samples['generated'][12]['id'] == '12'
  assert batches.flag_file is None


def test_numbers_pass_over_what_is_left_out(images, image_folder):
  real, fake = images
  folder = image_folder('fake', fake[:8])
  (folder / '003.png').write_bytes(b'broken')
  evaluator = genmed_jax.Evaluator(
    real, features=NETWORK, metrics='realism', on_error='skip', write_ids=True
  )
  evaluator.update(folder)
  evaluator.update(fake[8:])
  (lines,) = evaluator.compute().samples.values()
  assert [line['image'] for line in lines] == [0, 1, 2, *range(4, 24)]
  assert [line['id'] for line in lines[2:4]] == ['002.png', '004.png']
  assert lines[-1]['id'] == '23'


def test_a_batch_that_fails_leaves_nothing(images, tmp_path):
  evaluator = genmed_jax.Evaluator(images[0], features=NETWORK, metrics='fd')
  with pytest.raises(DecodeError, match='generated: 0 cannot be used'):
    evaluator.update(np.full((3, 16, 16), np.nan))
  with pytest.raises(UsageError, match='nothing to score'):
    evaluator.compute()


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    (np.zeros((9, 3)), 'feature widths differ: reference has 6, step 3'),
    (np.zeros((9, 8, 8)), 'step holds images, the reference features'),
    ('nowhere', "'nowhere': no such file or folder"),
  ],
)
def test_sets_that_do_not_fit_the_reference(random, given, message):
  evaluator = genmed_jax.Evaluator(random.standard_normal((9, 6)))
  with pytest.raises(UsageError, match=message):
    evaluator(given, name='step')


@pytest.mark.parametrize('given', [{'limit': 5}, {'group_by': 'class'}])
def test_parts_of_sets_need_whole_sets(images, image_folder, given):
  root = image_folder('real', images[0], classes=('a', 'b'))
  evaluator = genmed_jax.Evaluator(root, features=NETWORK, **given)
  with pytest.raises(UsageError, match='needs whole sets'):
    evaluator.update(images[1])


@pytest.mark.parametrize('name', [3, 'epoch:3', 'a/b=c', ''])
def test_sets_of_any_name(random, tmp_path, name):
  real, fake = random.standard_normal((2, 9, 6))
  np.save(tmp_path / 'fake.npy', fake)
  for given in (fake, tmp_path / 'fake.npy'):
    evaluation = genmed_jax.score(
      real, {name: given}, metrics='realism', bootstrap=0
    )
    assert {row.generated for row in evaluation.rows} <= {
      str(name), 'generated', 'fake'
    }  # fmt: skip
    evaluation.save(tmp_path / 'out')


def test_groups_need_whole_sets(images, image_folder):
  real, fake = (
    image_folder(name, each, classes=('a', 'b'))
    for name, each in zip(('real', 'fake'), images, strict=True)
  )
  evaluator = genmed_jax.Evaluator(
    real, features=NETWORK, metrics='mmd_poly', group_by='class', bootstrap=0
  )
  groups = [row.group for row in evaluator(fake).rows]
  assert groups == ['overall', 'a', 'b']
  with pytest.raises(UsageError, match='`group_by` needs whole sets'):
    evaluator.update(fake)
  with pytest.raises(UsageError, match='generated has no such column'):
    evaluator(images[1])


def test_examples_in_docstrings():
  found = doctest.testmod(library)
  assert found.failed == 0
  assert found.attempted >= 9
