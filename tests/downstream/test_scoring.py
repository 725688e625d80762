import csv

import jax
import numpy as np
import pytest

from genmed_jax import options
from genmed_jax.data import phantom
from genmed_jax.data.formats import open_source
from genmed_jax.downstream import dice_predictor, scoring, segmentation
from genmed_jax.downstream.dice_predictor import PredictorConfig
from genmed_jax.downstream.segmentation import SegmenterConfig
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.evaluation.config import EvaluationConfig
from genmed_jax.evaluation.run import prepare
from genmed_jax.study import run
from genmed_jax.study.design import StudyConfig
from genmed_jax.training.batches import read_pictures
from genmed_jax.training.checkpoints import load_network, save_network

PHANTOM = 'phantom:brain?n=24&size=32&tumours=1'


def report(error, of_mean=0.3):
  found = {'mean_absolute_error': error, 'error_of_the_mean': of_mean}
  found |= {'pearson': 0.9}
  return {'all_masks': found, 'own_masks': found, 'conformal_95': 0.2}


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
  """Folders of a segmenter and of predictors for it; weights are random."""
  root = tmp_path_factory.mktemp('trained')
  config = SegmenterConfig(32, 1, 4, 2, 'group')
  weights = segmentation.segmenter(config).init(0)
  manifest = {'config': config._asdict(), 'intensity': 'dtype', 'report': {}}
  save_network(root / 'seg' / 'network', segmentation.KIND, weights, manifest)
  sha256 = load_network(root / 'seg' / 'network', segmentation.KIND)[1][
    'sha256'
  ]
  judge = PredictorConfig(32, 1, 18, 4, 'group', 'blend')
  judging = dice_predictor.predictor(judge).init(1)
  for name, error, belongs in (
    ('good', 0.1, sha256),
    ('poor', 0.3, sha256),
    ('other', 0.1, 'x'),
  ):
    manifest = {'config': judge._asdict(), 'report': report(error)}
    manifest['segmenter_sha256'] = belongs
    save_network(
      root / name / 'network', dice_predictor.KIND, judging, manifest
    )
  return root


def evaluated(pair, folder, **given):
  defaults = {
    'reference': PHANTOM,
    'generated': [
      f'{name}={PHANTOM}&seed={i}' for i, name in enumerate('abcd')
    ],
    'features': (f'segmenter:{pair}/seg',),
    'metrics': 'fd,predicted_dice',
    'segmenter': f'{pair}/seg',
    'dice_predictor': f'{pair}/good',
    'bootstrap': 50,
    'cache_dir': str(folder / 'cache'),
  }
  config = options.build(EvaluationConfig, defaults | given)
  return prepare(config).run()


def read_csv(path):
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


def test_predicted_dice_of_sets_and_images(pair, tmp_path):
  evaluation = evaluated(pair, tmp_path)
  evaluation.save(tmp_path / 'out')
  rows = evaluation.rows
  judged = [row for row in rows if row.metric == 'predicted_dice']
  assert [row.metric for row in rows[:2]] == ['fd', 'predicted_dice']
  assert [row.generated for row in judged] == list('abcd')
  assert 'is off by 0.300, r 0.90, by less than 0.200' in judged[0].note[0]
  lines = read_csv(tmp_path / 'out' / 'samples_b.csv')
  found = np.array([float(line['predicted_dice']) for line in lines])
  assert judged[1].value == pytest.approx(found.mean())
  assert judged[1].ci_low < judged[1].value < judged[1].ci_high
  # The same, by the functions that trained it.
  config = SegmenterConfig(32, 1, 4, 2, 'group')
  network = segmentation.segmenter(config)
  mesh = mesh_lib.data_mesh()
  weights, _ = load_network(pair / 'seg' / 'network', segmentation.KIND)
  source = open_source(f'{PHANTOM}&seed=1')
  images = read_pictures(source, 32, 1, 'dtype', masks=False).images
  masks = segmentation.segmenting(network, mesh)(weights, images)
  judge = PredictorConfig(32, 1, 18, 4, 'group', 'blend')
  judging, _ = load_network(pair / 'good' / 'network', dice_predictor.KIND)
  predict = dice_predictor.predicting(
    dice_predictor.predictor(judge), judge, mesh
  )
  np.testing.assert_allclose(found, predict(judging, images, masks), atol=1e-4)
  (agreement,) = read_csv(tmp_path / 'out' / 'agreement.csv')
  assert (agreement['metric'], agreement['sets']) == ('fd', '4')


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    ({'dice_predictor': 'poor'}, 'no better than predicting the mean'),
    ({'dice_predictor': 'other'}, 'was trained for another segmenter'),
    ({'dice_predictor': 'seg'}, 'holds a segmenter, not a dice_predictor'),
    ({'dice_predictor': None}, '`segmenter` and `dice_predictor` go together'),
    (
      {'segmenter': None, 'dice_predictor': None},
      'needs `segmenter` and `dice_predictor`',
    ),
  ],
)
def test_what_cannot_score(pair, tmp_path, given, message):
  given = {k: v and f'{pair}/{v}' for k, v in given.items()}
  with pytest.raises(ValueError, match=message):
    evaluated(pair, tmp_path, **given)


def test_images_that_are_scaled_in_another_way(pair, tmp_path):
  with pytest.raises(ValueError, match="`intensity='dtype'`, not minmax"):
    evaluated(pair, tmp_path, intensity='minmax')


def test_bottleneck_alone(pair):
  network = scoring.load(f'{pair}/seg', None, intensity='dtype')
  assert network.taps == ('bottleneck',)
  image = jax.ShapeDtypeStruct((2, 32, 32, 3), np.float32)
  shapes = jax.eval_shape(network.apply, network.state, image)
  assert shapes['bottleneck'].shape == (2, 16)


def test_a_study_sets_metrics_beside_the_predicted_dice(pair, tmp_path):
  config = StudyConfig(
    reference='phantom:brain?n=80&size=32&tumours=1',
    families=('gaussian', 'mode_invention'),
    seeds=1,
    images=16,
    features=(f'segmenter:{pair}/seg',),
    metrics=('fd', 'predicted_dice'),
    segmenter=f'{pair}/seg',
    dice_predictor=f'{pair}/good',
    bootstrap=50,
    cache_dir=str(tmp_path / 'cache'),
  )
  study = run.prepare(config).run()
  study.save(tmp_path / 'out')
  assert {each.metric for each in study.effects} == {'fd', 'predicted_dice'}
  page = (tmp_path / 'out' / 'sensitivity.md').read_text()
  assert '## Upstream and downstream' in page
  assert 'the 7 sets' in page
  (agreement,) = read_csv(tmp_path / 'out' / 'agreement.csv')
  assert agreement['sets'] == '7'


def test_inputs_join_image_and_mask():
  drawn = phantom.draw(phantom.Settings(n=2, size=32))
  images = drawn.images[..., None] / np.float32(127.5) - 1
  channel = dice_predictor.join_mask(images, drawn.mask, 'channel')
  assert channel.shape == (2, 32, 32, 2)
  np.testing.assert_array_equal(channel[..., 1] > 0, drawn.mask)
  blend = dice_predictor.join_mask(images, drawn.mask, 'blend')
  np.testing.assert_allclose(
    blend[..., 0], (images[..., 0] + 2 * drawn.mask - 1) / 2, atol=1e-6
  )
  np.testing.assert_array_equal(blend[..., 1], images[..., 0])
