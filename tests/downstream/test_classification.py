import json

import numpy as np
import pytest

from genmed_jax.data.formats import arrays
from genmed_jax.downstream.classification import chosen, multi_label_loss
from genmed_jax.downstream.classification_scores import (
  auroc,
  classification_scores,
)
from genmed_jax.downstream.labels import multi_labels
from genmed_jax.downstream.utility import train_classifier
from genmed_jax.training.config import SETTINGS, TrainingConfig


def test_auroc_is_the_share_of_ordered_pairs(random):
  scores = np.round(random.random(60), 1)  # With ties.
  labels = (random.random(60) < 0.4).astype(int)
  positive, negative = scores[labels == 1], scores[labels == 0]
  pairs = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
  assert auroc(scores, labels) == pytest.approx(pairs.mean())
  assert auroc(scores, np.ones(60)) is None


def test_scores_by_hand():
  probabilities = np.array(
    [[0.9, 0.2, 0.9], [0.8, 0.7, 0.1], [0.1, 0.6, 0.2], [0.4, 0.1, 0.3]]
  )
  labels = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, -1, 0]])
  found = classification_scores(probabilities, labels, ('a', 'b', 'c'))
  assert found['left_out'] == ['c']
  assert found['accuracy'] == pytest.approx(8 / 11)
  # Micro: 3 found right of 5 found, of 4 there.
  assert found['precision_micro'] == pytest.approx(3 / 5)
  assert found['recall_micro'] == pytest.approx(3 / 4)
  assert found['f1_micro'] == pytest.approx(6 / 9)
  assert found['f1_macro'] == pytest.approx((0.5 + 1.0) / 2)
  assert found['per_class']['a']['auroc'] == pytest.approx(0.5)
  assert found['auroc_macro'] == pytest.approx(0.75)


def source_with(**labels):
  images = np.zeros((4, 8, 8), np.uint8)
  columns = {k: np.array(v) for k, v in labels.items()}
  return arrays.stack('set', images, 'stamp {}'.format, columns)


@pytest.mark.parametrize(
  ('uncertain', 'expected'),
  [
    ('negative', [1, 0, 0, 0]),
    ('positive', [1, 0, 1, 0]),
    ('ignore', [1, 0, -1, 0]),
  ],
)
def test_uncertain_labels(uncertain, expected):
  source = source_with(
    a=['1.0', '0', '-1', ''], b=['True', 'false', '-1.0', 'nan']
  )
  found = multi_labels(source, ('a', 'b'), uncertain)
  np.testing.assert_array_equal(found, np.stack([expected] * 2, axis=1))


def test_unusable_labels():
  source = source_with(a=['1', '0', '2', 'x'])
  with pytest.raises(ValueError, match="column a holds '2'"):
    multi_labels(source, ('a',), 'negative')
  with pytest.raises(ValueError, match='no column b; it has a'):
    multi_labels(source, ('b',), 'negative')


def test_ignored_labels_have_no_loss():
  logits = np.array([[2.0, -3.0]], np.float32)
  both = multi_label_loss(logits, np.array([[1, 1]]))
  one = multi_label_loss(logits, np.array([[1, -1]]))
  assert float(one[0]) == pytest.approx(np.log1p(np.exp(-2.0)), rel=1e-5)
  assert float(both[0]) > float(one[0])


@pytest.mark.parametrize(
  ('setting', 'sizes'),
  list(zip(SETTINGS, [(10, 0), (0, 7), (5, 3), (10, 7)], strict=True)),
)
def test_settings(setting, sizes):
  parts = chosen(setting, 10, 7, seed=0)
  assert tuple(map(len, parts)) == sizes
  assert all(len(set(part.tolist())) == len(part) for part in parts)


def test_a_classifier_learns_what_images_show(tmp_path, random):
  """Bright and dark images, of which the synthetic ones are mislabelled."""
  classes = np.array(['dark', 'bright'])
  which = np.arange(80) % 2
  images = (
    60 + 120 * which[:, None, None] + random.integers(0, 40, (80, 32, 32))
  )
  real, wrong = tmp_path / 'real.npz', tmp_path / 'wrong.npz'
  pixels = images.astype(np.uint8)
  np.savez(real, images=pixels, **{'class': classes[which]})
  np.savez(wrong, images=pixels, **{'class': classes[1 - which]})
  report = train_classifier(
    TrainingConfig(
      task='classifier',
      train=str(real),
      generated=str(wrong),
      settings=('all_original', 'all_synthetic'),
      image_size=32,
      layers=18,
      width=4,
      norm='group',
      epochs=4,
      batch_size=8,
      learning_rate=1e-2,
      output_dir=str(tmp_path / 'out'),
    )
  )
  assert report['all_original']['auroc_macro'] > 0.95
  assert report['all_synthetic']['auroc_macro'] < 0.05
  written = json.loads(
    (tmp_path / 'out' / 'all_synthetic' / 'report.json').read_text()
  )
  assert written['report'] == report['all_synthetic']


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'settings': ('both',)}, "`settings`: unknown 'both'"),
    ({'settings': ('mixed',)}, 'need `generated`'),
    ({'label_columns': ('x',)}, 'no column x'),
  ],
)
def test_unusable_flags(tmp_path, options, message):
  np.savez(tmp_path / 'set.npz', images=np.zeros((20, 8, 8), np.uint8))
  config = TrainingConfig(
    task='classifier', train=str(tmp_path / 'set.npz'), **options
  )
  with pytest.raises(ValueError, match=message):
    train_classifier(config)


def test_nobody_trains_and_is_tested(tmp_path, random):
  paths = []
  for name, first in (('train', 0), ('test', 9)):
    images = random.integers(0, 255, (20, 8, 8)).astype(np.uint8)
    subjects = np.array([f'patient {first + i // 2}' for i in range(20)])
    labels = np.array(['a', 'b'] * 10)
    paths.append(str(tmp_path / f'{name}.npz'))
    np.savez(paths[-1], images=images, subject=subjects, **{'class': labels})
  train, test = paths
  for held_out, message in (
    (train, '`test` holds the images of `train`'),
    (test, '`test` holds images of 1 subjects of `train`'),
  ):
    config = TrainingConfig(
      task='classifier', train=train, test=held_out, subject_column='subject'
    )
    with pytest.raises(ValueError, match=message):
      train_classifier(config)
