import csv
import dataclasses
import json

import numpy as np
import pytest

from genmed_jax import options
from genmed_jax.evaluation.config import EvaluationConfig
from genmed_jax.evaluation.run import prepare
from genmed_jax.metrics import METRICS
from genmed_jax.networks import conversion, registry, weights
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
    'spatial': save('spatial', real, spatial=np.float32(real[:, :4])),
    'other spatial': save('other', fake, spatial=np.float32(fake[:, :3])),
    'narrow': save('narrow', fake[:, :5]),
    'broken': save('broken', np.where(fake > 2, np.nan, fake)),
    'single': save('single', fake[:1]),
  }


def config_of(tmp_path, reference, *generated, **given):
  return options.build(
    EvaluationConfig,
    {
      'reference': reference,
      'generated': generated,
      'cache_dir': str(tmp_path / 'cache'),
      'bootstrap': 50,
      'metrics': 'fd,kid,precision,authpct',
    }
    | given,
  )


def rows_of(*args, **given):
  return prepare(config_of(*args, **given)).run().rows


def saved(tmp_path, *args, **given):
  """The folder of an evaluation's files."""
  prepare(config_of(tmp_path, *args, **given)).run().save(tmp_path / 'out')
  return tmp_path / 'out'


def read_csv(path):
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


def test_result_files(tmp_path, feature_files):
  config = config_of(
    tmp_path, feature_files['real'], feature_files['fake'], metrics='all'
  )
  evaluation = prepare(config).run()
  rows, out = evaluation.rows, tmp_path / 'out'
  evaluation.save(out)
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


def test_logits_in_a_file_of_features_give_the_inception_score(
  tmp_path, feature_files
):
  logits = feature_files['logits']
  rows = rows_of(tmp_path, logits, logits, metrics='is')
  assert 'is' in {row.metric for row in rows}


@pytest.mark.parametrize(
  ('reference', 'generated', 'given', 'message'),
  [
    ('real', 'narrow', {}, 'feature widths differ: real has 6, narrow 5'),
    ('real', 'broken', {}, 'rows of features are not finite'),
    ('real', 'single', {}, 'needs at least 2 images, has 1'),
    ('real', 'fake', {'metrics': 'fdd'}, "did you mean 'fd'"),
    ('real', 'fake', {'metrics': 'fid'}, 'not on given; ask for fd'),
    ('real', 'fake', {'metrics': 'is'}, 'which given lacks'),
    ('real', 'fake', {'group_by': 'class'}, 'real has no such column'),
    ('real', 'fake', {'intensity': 'x'}, 'accepted are dtype'),
    ('real', 'fake', {'features': ()}, '`features` is empty'),
    ('spatial', 'other spatial', {}, 'spatial widths differ: spatial has 4'),
    ('real', 'fake', {'bootstrap': 1}, '`bootstrap=1`: a spread takes two'),
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
def test_what_cannot_be_used_is_said_before_any_work(
  tmp_path, feature_files, reference, generated, given, message
):
  sets = (feature_files.get(name, name) for name in (reference, generated))
  with pytest.raises(ValueError, match=message):
    prepare(config_of(tmp_path, *sets, **given))
  assert not (tmp_path / 'cache').exists()


def test_sets_of_one_name_must_be_told_apart(tmp_path, feature_files):
  with pytest.raises(ValueError, match='tell them apart with NAME=SOURCE'):
    prepare(config_of(tmp_path, *[feature_files['real']] * 3))
  names = [f'{name}={feature_files["fake"]}' for name in ('日本', '中国')]
  folder = saved(tmp_path, feature_files['real'], *names)
  written = {path.name for path in folder.glob('samples*')}
  assert written == {'samples_日本.csv', 'samples_中国.csv'}
  # Another run's files do not stay beside these.
  saved(tmp_path, *[feature_files['real']] * 2)
  written = {path.name for path in folder.glob('samples*')}
  assert written == {'samples_real.csv'}


def test_limited_sets_are_numbered_as_the_whole(tmp_path, feature_files):
  files = feature_files['real'], feature_files['fake']
  folder = saved(tmp_path, *files, limit=10, write_ids=True)
  samples = read_csv(folder / 'samples_fake.csv')
  assert [s['image'] for s in samples] == [s['id'] for s in samples]
  assert max(int(s['image']) for s in samples) > 9


def test_images_without_a_label_are_a_group_of_their_own(
  tmp_path, image_folder, random
):
  images = random.integers(0, 255, (16, 16, 16)).astype(np.uint8)
  root = str(image_folder('set', images, classes=('', 'mass')))
  rows = rows_of(
    tmp_path,
    root,
    root,
    features='inception_v3_random:64',
    metrics='mmd_poly',
    group_by='class',
  )
  counts = {row.group: row.n_reference for row in rows}
  assert counts == {'overall': 16, '(none)': 8, 'mass': 8}


def test_output_that_cannot_be_written(tmp_path, feature_files):
  (tmp_path / 'out').write_text('a file')
  with pytest.raises(OSError, match='cannot be written'):
    saved(tmp_path, feature_files['real'], feature_files['fake'])


def test_groups(tmp_path, image_folder, random):
  images = random.integers(0, 255, (24, 16, 16)).astype(np.uint8)
  real = image_folder('real', images, classes=('mass', 'none'))
  fake = image_folder('fake', images[:20] // 2, classes=('mass', 'rare'))
  evaluation = prepare(
    config_of(
      tmp_path,
      str(real),
      str(fake),
      features='inception_v3_random:64',
      metrics='fd,precision',
      group_by='class',
    )
  ).run()
  rows = evaluation.rows
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
  assert len(evaluation.samples['fake']) == 20
  assert {line['id'] for line in evaluation.samples['fake']} == {''}


def test_names_of_files_are_written_only_when_asked(
  tmp_path, image_folder, random
):
  images = random.integers(0, 255, (8, 16, 16)).astype(np.uint8)
  root = str(image_folder('patients', images))
  given = {'features': 'inception_v3_random:64', 'metrics': 'precision'}
  out = saved(tmp_path, root, root, **given)
  written = ''.join(path.read_text() for path in out.iterdir())
  assert '003.png' not in written
  saved(tmp_path, root, root, write_ids=True, **given)
  samples = read_csv(out / 'samples_patients.csv')
  assert samples[3]['id'] == '003.png'


def test_only_the_published_weights_give_a_fid(
  tmp_path, image_folder, random, monkeypatch
):
  source = tmp_path / 'weights.npz'
  np.savez(
    source, **inception_twin.random_state(inception_twin.upstream_shapes())
  )
  architecture = registry.NETWORKS['inception_v3']
  published = architecture.upstream._replace(sha256=weights.sha256_of(source))
  images = random.integers(0, 255, (3, 16, 16)).astype(np.uint8)
  root = str(image_folder('set', images))
  config = config_of(tmp_path, root, root, metrics='fd', bootstrap=0)
  conversion.convert('inception_v3', source, tmp_path / 'cache')
  (row,) = prepare(config).run().rows
  assert row.metric == 'fd'
  monkeypatch.setitem(
    registry.NETWORKS, 'inception_v3', architecture._replace(upstream=published)
  )
  (row,) = prepare(config).run().rows
  assert row.metric == 'fid'
  assert abs(row.value) < 1e-6


def test_a_constant_feature_changes_nothing(tmp_path, random):
  real, fake = np.float32(random.standard_normal((2, 120, 8)))
  names = 'precision,recall,density,coverage,authpct,clipped_density'

  def values_with(constant):
    files = []
    for name, features in (('real', real), ('fake', fake)):
      more = np.full((120, 1), constant, np.float32)
      path = tmp_path / f'{name}_{constant}.npz'
      np.savez(path, features=np.hstack([features, more]))
      files.append(str(path))
    rows = rows_of(tmp_path, *files, metrics=names, bootstrap=0)
    return [row.value for row in rows]

  expected = values_with(0)
  for constant in (1e4, 1e7):
    np.testing.assert_allclose(values_with(constant), expected, rtol=1e-6)


def test_a_bug_in_scores_of_single_images_is_told(
  tmp_path, feature_files, monkeypatch
):
  def values(comparison):
    raise KeyError('bug')

  metric = METRICS['precision']
  column = metric.columns[0]._replace(values=values)
  monkeypatch.setitem(
    METRICS, 'precision', dataclasses.replace(metric, columns=(column,))
  )
  config = config_of(
    tmp_path, feature_files['real'], feature_files['fake'], metrics='precision'
  )
  evaluation = prepare(config).run()
  assert evaluation.rows[0].value is not None
  (failure,) = evaluation.failures
  assert failure.startswith('precision of single images: KeyError')


def test_features_without_a_metric_are_not_extracted(tmp_path):
  phantoms = 'phantom:brain?n=4&size=32&contrast=t1'
  rows = rows_of(
    tmp_path,
    phantoms,
    f'{phantoms}&seed=1',
    features='inception_v3_random:64',
    metrics='predicted_dice',
    segmenter='phantom',
    dice_predictor='phantom',
    bootstrap=0,
  )
  assert [row.features for row in rows] == ['segmenter:phantom']
