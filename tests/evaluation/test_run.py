import csv
import dataclasses
import json
from pathlib import Path
import re
import subprocess
import sys

from absl import flags
import numpy as np
import pytest

from genmed_jax import convert, evaluate, networks, sensitivity
from genmed_jax.command import entry, run_flags
from genmed_jax.evaluation import run as evaluation
from genmed_jax.evaluation.run import Config
from genmed_jax.networks import weights
from genmed_jax.report import results
from genmed_jax.training import task as training_run
from tests import inception_twin


@pytest.fixture
def feature_files(tmp_path, random):
  """Three files of features: real, generated, and one with a NaN."""

  def save(name, values, **more):
    np.savez(tmp_path / f'{name}.npz', features=np.float32(values), **more)
    return str(tmp_path / f'{name}.npz')

  real, fake = random.standard_normal((2, 40, 6))
  return {
    'real': save('real', real),
    'fake': save('fake', fake + 0.5),
    'logits': save('logits', fake, logits=np.float32(fake)),
    'narrow': save('narrow', fake[:, :5]),
    'broken': save('broken', np.where(fake > 2, np.nan, fake)),
    'single': save('single', fake[:1]),
  }


def config_of(tmp_path, reference, *generated, **options):
  return Config(
    reference=reference,
    generated=generated,
    cache_dir=str(tmp_path / 'cache'),
    output_dir=str(tmp_path / 'out'),
    **{'bootstrap': 50, 'metrics': 'fd,kid,precision,authpct'} | options,
  )


def read_csv(path):
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


def parsed_flags(path, command=evaluate):
  """What a command makes of a flag file."""
  holder = flags.FlagValues()
  for module in (command, run_flags, entry):
    for flag in flags.FLAGS.get_flags_for_module(module):
      holder[flag.name] = flag
  holder(['evaluate', f'--flagfile={path}'])
  return holder


def test_result_files(tmp_path, feature_files):
  config = config_of(
    tmp_path, feature_files['real'], feature_files['fake'], metrics='all'
  )
  rows = evaluation.evaluate(config)
  out = tmp_path / 'out'
  lines = read_csv(out / 'results.csv')
  assert [line['metric'] for line in lines] == [row.metric for row in rows]
  assert {line['features'] for line in lines} == {'given'}
  assert 'is' not in {line['metric'] for line in lines}
  for line in lines:
    if line['value']:
      assert float(line['ci_low']) <= float(line['value'])
    else:
      assert line['note']
  report = json.loads((out / 'results.json').read_text())
  assert report['results'][0]['value'] == rows[0].value
  assert report['provenance']['versions']['jax']
  samples = read_csv(out / 'samples_fake.csv')
  assert len(samples) == 40
  authentic = np.mean([int(s['authentic']) for s in samples])
  authpct = next(row.value for row in rows if row.metric == 'authpct')
  np.testing.assert_allclose(authpct, 100 * authentic)
  assert not list(out.glob('.*'))


def test_run_flags_repeat_the_run(tmp_path, feature_files):
  config = config_of(
    tmp_path,
    feature_files['real'],
    f'a={feature_files["fake"]}',
    f'b={feature_files["real"]}',
    metrics='fd,kid',
    bootstrap=0,
    limit=20,
  )
  evaluation.evaluate(config)
  out = tmp_path / 'out'
  holder = parsed_flags(out / 'run.flags')
  first = (out / 'results.csv').read_text()
  parsed = {name: holder[name].value for name in config.__dataclass_fields__}
  parsed['generated'] = tuple(parsed['generated'])
  parsed['features'] = tuple(parsed['features'])
  assert Config(**parsed) == config
  evaluation.evaluate(Config(**parsed))
  assert (out / 'results.csv').read_text() == first


def test_logits_in_a_file_of_features_give_the_inception_score(
  tmp_path, feature_files
):
  rows = evaluation.evaluate(
    config_of(
      tmp_path,
      feature_files['logits'],
      feature_files['logits'],
      metrics='is',
    )
  )
  assert 'is' in {row.metric for row in rows}


@pytest.mark.parametrize(
  ('reference', 'generated', 'options', 'message'),
  [
    ('real', 'narrow', {}, 'feature widths differ: real has 6, narrow 5'),
    ('real', 'broken', {}, 'rows of features are not finite'),
    ('real', 'single', {}, 'needs at least two images, has 1'),
    ('real', 'fake', {'metrics': 'fdd'}, "did you mean 'fd'"),
    ('real', 'fake', {'metrics': 'fid'}, 'not on given; ask for fd'),
    ('real', 'fake', {'metrics': 'is'}, 'which given lacks'),
    ('real', 'fake', {'group_by': 'class'}, 'real has no such column'),
    ('real', 'fake', {'intensity': 'x'}, 'accepted are dtype'),
    ('real', 'fake', {'features': ()}, '--features is empty'),
    ('real', 'fake', {'bootstrap': 1}, '--bootstrap=1'),
    (
      'real',
      'fake',
      {'features': ('inception_v3', 'inception_v3:2048')},
      'names inception_v3:2048 twice',
    ),
    ('phantom:brain?n=4&size=32', 'fake', {}, 'must hold the one or the other'),
    (
      'phantom:brain?n=4&size=32',
      'phantom:brain?n=4&size=32',
      {'features': ('inception_v2',)},
      "did you mean 'inception_v3'",
    ),
  ],
)
def test_what_cannot_be_used_is_said_before_any_output(
  tmp_path, feature_files, reference, generated, options, message
):
  config = config_of(
    tmp_path,
    feature_files.get(reference, reference),
    feature_files.get(generated, generated),
    **options,
  )
  with pytest.raises(ValueError, match=message):
    evaluation.evaluate(config)
  assert not list((tmp_path / 'out').glob('*'))


def test_sets_of_one_name_must_be_told_apart(tmp_path, feature_files):
  config = config_of(tmp_path, *[feature_files['real']] * 3)
  with pytest.raises(ValueError, match='--generated=NAME=SOURCE'):
    evaluation.evaluate(config)
  names = [f'{name}={feature_files["fake"]}' for name in ('日本', '中国')]
  evaluation.evaluate(config_of(tmp_path, feature_files['real'], *names))
  written = {path.name for path in (tmp_path / 'out').glob('samples*')}
  assert written == {'samples_日本.csv', 'samples_中国.csv'}
  # Another run's files do not stay beside these.
  evaluation.evaluate(config_of(tmp_path, *[feature_files['real']] * 2))
  written = {path.name for path in (tmp_path / 'out').glob('samples*')}
  assert written == {'samples_real.csv'}


def test_limited_sets_are_numbered_as_the_whole(tmp_path, feature_files):
  evaluation.evaluate(
    config_of(
      tmp_path,
      feature_files['real'],
      feature_files['fake'],
      limit=10,
      write_ids=True,
    )
  )
  samples = read_csv(tmp_path / 'out' / 'samples_fake.csv')
  assert [s['image'] for s in samples] == [s['id'] for s in samples]
  assert max(int(s['image']) for s in samples) > 9


def test_images_without_a_label_are_a_group_of_their_own(
  tmp_path, image_folder, random
):
  images = random.integers(0, 255, (16, 16, 16)).astype(np.uint8)
  root = str(image_folder('set', images, classes=('', 'mass')))
  rows = evaluation.evaluate(
    config_of(
      tmp_path,
      root,
      root,
      features=('inception_v3_random:64',),
      metrics='mmd_poly',
      group_by='class',
    )
  )
  counts = {row.group: row.n_reference for row in rows}
  assert counts == {'overall': 16, '(none)': 8, 'mass': 8}


def test_output_that_cannot_be_written(tmp_path, feature_files):
  (tmp_path / 'out').write_text('a file')
  config = config_of(tmp_path, feature_files['real'], feature_files['fake'])
  with pytest.raises(OSError, match='cannot be written'):
    evaluation.evaluate(config)


def test_groups(tmp_path, image_folder, random):
  images = random.integers(0, 255, (24, 16, 16)).astype(np.uint8)
  real = image_folder('real', images, classes=('mass', 'none'))
  fake = image_folder('fake', images[:20] // 2, classes=('mass', 'rare'))
  rows = evaluation.evaluate(
    config_of(
      tmp_path,
      str(real),
      str(fake),
      features=('inception_v3_random:64',),
      metrics='fd,precision',
      group_by='class',
    )
  )
  counts = {row.group: (row.n_reference, row.n_generated) for row in rows}
  assert counts == {
    'overall': (24, 20),
    'mass': (12, 10),
    'none': (12, 0),
    'rare': (0, 10),
  }
  for row in rows:
    if row.group in ('none', 'rare'):
      assert row.value is None
      assert 'needs at least' in row.note[0]
  samples = read_csv(tmp_path / 'out' / 'samples_fake.csv')
  assert {line['id'] for line in samples} == {''}


def test_names_of_files_are_written_only_when_asked(
  tmp_path, image_folder, random
):
  images = random.integers(0, 255, (8, 16, 16)).astype(np.uint8)
  root = str(image_folder('patients', images))
  options = {'features': ('inception_v3_random:64',), 'metrics': 'coverage'}
  evaluation.evaluate(config_of(tmp_path, root, root, **options))
  out = tmp_path / 'out'
  written = ''.join(path.read_text() for path in out.iterdir())
  assert '003.png' not in written
  evaluation.evaluate(
    config_of(tmp_path, root, root, write_ids=True, **options)
  )
  samples = read_csv(out / 'samples_patients.csv')
  assert samples[3]['id'] == '003.png'


def test_only_the_published_weights_give_a_fid(
  tmp_path, image_folder, random, monkeypatch
):
  source = tmp_path / 'weights.npz'
  np.savez(
    source, **inception_twin.random_state(inception_twin.upstream_shapes())
  )
  architecture = networks.NETWORKS['inception_v3']
  published = architecture.upstream._replace(sha256=weights.sha256_of(source))
  images = random.integers(0, 255, (3, 16, 16)).astype(np.uint8)
  root = str(image_folder('set', images))
  config = config_of(tmp_path, root, root, metrics='fd', bootstrap=0)
  convert.convert('inception_v3', source, tmp_path / 'cache')
  (row,) = evaluation.evaluate(config)
  assert row.metric == 'fd'
  monkeypatch.setitem(
    networks.NETWORKS, 'inception_v3', architecture._replace(upstream=published)
  )
  (row,) = evaluation.evaluate(config)
  assert row.metric == 'fid'
  assert abs(row.value) < 1e-6


def run(*arguments):
  return subprocess.run(
    [sys.executable, '-m', 'genmed_jax.evaluate', *arguments],
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.parametrize(
  ('arguments', 'status', 'message'),
  [
    ((), 2, 'Flag --reference must have a value'),
    (('--refrence=a', '--generated=b'), 2, "Unknown command line flag 'refr"),
    (('--reference=a', '--generated=b', 'c'), 2, "unexpected argument 'c'"),
    (('--reference=/nowhere', '--generated=b'), 2, 'no such file or folder'),
    (
      (
        '--reference=phantom:brain?n=4&size=32',
        '--generated=phantom:brain?n=4&size=32&seed=1',
        '--cache_dir=/nowhere',
      ),
      1,
      'inception_v3 has no converted weights',
    ),
  ],
)
def test_a_users_mistake_is_one_line_and_a_status(arguments, status, message):
  process = run(*arguments)
  assert process.returncode == status
  assert message in process.stderr
  assert len(process.stderr.strip().splitlines()) == 1
  assert not process.stdout


def test_a_corrupt_file_ends_the_run_with_its_name(
  tmp_path, image_folder, random
):
  images = random.integers(0, 255, (6, 16, 16)).astype(np.uint8)
  root = image_folder('set', images)
  (root / '002.png').write_bytes(b'\x89PNG broken')
  process = run(
    f'--reference={root}',
    f'--generated=again={root}',
    '--features=inception_v3_random:64',
    f'--cache_dir={tmp_path / "cache"}',
    f'--output_dir={tmp_path / "out"}',
  )
  assert process.returncode == 1
  assert 'set: 002.png cannot be used' in process.stderr.splitlines()[-1]
  assert 'Traceback' not in process.stderr
  assert not list((tmp_path / 'out').glob('*'))


@pytest.mark.parametrize(
  'path',
  sorted((Path(__file__).parents[2] / 'configs').glob('*.flags')),
  ids=lambda path: path.stem,
)
def test_configs_are_flags_of_the_command_in_their_head(path):
  head = path.read_text().splitlines()[0]
  assert head.endswith(f'--flagfile=configs/{path.name}')
  (name,) = re.findall(r'-m genmed_jax\.(\w+)', head)
  if name == 'train':  # Whose flags cannot be defined beside the others'.
    given = re.findall(r'^--(\w+)=', path.read_text(), re.MULTILINE)
    known = {field.name for field in dataclasses.fields(training_run.Config)}
    assert {'task', 'train'} <= set(given) <= known
    return
  command = {'evaluate': evaluate, 'sensitivity': sensitivity}[name]
  assert parsed_flags(path, command)['reference'].value


def test_table_shows_sets_side_by_side(tmp_path, feature_files):
  rows = evaluation.evaluate(
    config_of(
      tmp_path,
      feature_files['real'],
      f'a={feature_files["fake"]}',
      f'b={feature_files["real"]}',
      metrics='fd,authpct',
    )
  )
  table = results.table(rows)
  header = table.splitlines()[0].split()
  assert header == [
    'features', 'group', 'metric', 'better', 'a', 'b', 'floor'
  ]  # fmt: skip
  assert '40 exact copies of training images: authpct of b' in table
