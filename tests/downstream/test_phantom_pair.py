"""The segmenter and the Dice predictor that come with the package."""

import jax
import numpy as np
import pytest

from genmed_jax.data.formats import open_source
from genmed_jax.downstream import dice_predictor, scoring, segmentation
from genmed_jax.downstream.dice_predictor import PredictorConfig
from genmed_jax.downstream.segmentation import dice, SegmenterConfig
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.training import task as run
from genmed_jax.training.batches import read_pictures


@pytest.fixture(scope='module')
def phantoms():
  """Slices that neither has seen."""
  source = open_source('phantom:brain?n=64&seed=7&tumours=1&contrast=t1')
  return read_pictures(source, 128, 1, 'dtype', masks=True)


@pytest.fixture(scope='module')
def predicted():
  """``(images, masks)`` to predicted Dice."""
  weights, manifest = run.loaded(run.SHIPPED, dice_predictor.KIND)
  config = PredictorConfig(**manifest['config'])
  predict = dice_predictor.predicting(
    dice_predictor.predictor(config), config, mesh_lib.data_mesh()
  )
  return lambda images, masks: predict(weights, images, masks)


def moved(masks, share):
  """Masks, moved down by a share of their own height."""
  heights = masks.any(2).sum(1)
  return np.stack(
    [
      np.roll(mask, round(share * height), axis=0)
      for mask, height in zip(masks, heights, strict=True)
    ]
  )


def test_predicted_dice_orders_good_degraded_and_destroyed(phantoms, predicted):
  masks = phantoms.masks
  worse = {0.0: masks, 0.4: moved(masks, 0.4), 1.5: moved(masks, 1.5)}
  true = [np.asarray(dice(masks, each)).mean() for each in worse.values()]
  found = [predicted(phantoms.images, each) for each in worse.values()]
  assert true == pytest.approx([1.0, 0.5, 0.0], abs=0.1)
  good, degraded, destroyed = found
  for change, errors in ((good - degraded, 10), (degraded - destroyed, 7)):
    assert change.mean() > errors * change.std() / len(change) ** 0.5
  assert [each.mean() for each in found] == pytest.approx(true, abs=0.2)


def test_masks_and_their_predicted_dice(phantoms, predicted):
  weights, manifest = run.loaded(run.SHIPPED, segmentation.KIND)
  network = segmentation.segmenter(SegmenterConfig(**manifest['config']))
  segment = segmentation.segmenting(network, mesh_lib.data_mesh())
  masks = segment(weights, phantoms.images)
  true = np.asarray(dice(masks, phantoms.masks))
  found = predicted(phantoms.images, masks)
  assert true.mean() > 0.85
  assert found.mean() == pytest.approx(true.mean(), abs=0.1)


def test_it_is_a_feature_network():
  network = scoring.load(run.SHIPPED, run.SHIPPED, intensity='dtype')
  images = jax.ShapeDtypeStruct((2, 128, 128, 3), np.float32)
  shapes = jax.eval_shape(network.apply, network.state, images)
  assert {tap: each.shape for tap, each in shapes.items()} == {
    'bottleneck': (2, 128),
    'predicted_dice': (2, 1),
  }
