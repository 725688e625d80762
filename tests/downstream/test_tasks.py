import json

import pytest

from genmed_jax.downstream.tasks import train_dice_predictor, train_segmenter
from genmed_jax.training.checkpoints import load_network
from genmed_jax.training.config import TrainingConfig

PHANTOM = 'phantom:brain?size=32&tumours=1'


def config(task, folder, n=64, **options):
  return TrainingConfig(
    task=task,
    train=f'{PHANTOM}&n={n}',
    image_size=32,
    epochs=1,
    width=4,
    output_dir=str(folder / task),
    **options,
  )


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """The folder of a segmenter and of a predictor for it."""
  folder = tmp_path_factory.mktemp('trained')
  train_segmenter(config('segmenter', folder, depth=2))
  options = {'segmenter': str(folder / 'segmenter'), 'layers': 18}
  train_dice_predictor(config('dice_predictor', folder, **options))
  return folder


def test_what_trainings_leave(finished):
  reports = {}
  for kind in ('segmenter', 'dice_predictor'):
    _, manifest = load_network(finished / kind / 'network', kind)
    report = json.loads((finished / kind / 'report.json').read_text())['report']
    assert report == manifest['report']
    assert (finished / kind / 'history.csv').read_text().count('\n') == 2
    reports[kind] = report
  assert reports['segmenter']['images'] == [45, 10, 9]
  low, high = reports['segmenter']['held_out_dice_interval']
  assert low <= reports['segmenter']['held_out_dice'] <= high
  assert reports['dice_predictor']['all_masks']['masks'] == 4 * 9
  # Of nine masks none is the largest error in twenty.
  assert reports['dice_predictor']['conformal_95'] is None
  flags = (finished / 'dice_predictor' / 'run.flags').read_text()
  assert '--image_size=32' in flags


def test_a_predictor_learns_on_what_its_segmenter_has_seen(finished, tmp_path):
  options = {'segmenter': str(finished / 'segmenter'), 'layers': 18}
  with pytest.raises(ValueError, match='its held-out part is not known'):
    train_dice_predictor(config('dice_predictor', tmp_path, n=60, **options))
