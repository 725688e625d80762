import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.downstream.degradation import degrade, degrade_evenly
from genmed_jax.downstream.segmentation import dice, dice_loss
from genmed_jax.perturb import image_keys
from genmed_jax.training.augmentation import augment, Augmentation


def disc(side, row, column, radius):
  rows, columns = np.indices((side, side))
  return np.hypot(rows - row, columns - column) < radius


@pytest.mark.parametrize(
  ('one', 'other', 'expected'),
  [
    (disc(32, 10, 10, 6), disc(32, 10, 10, 6), 1.0),
    (disc(32, 8, 8, 5), disc(32, 24, 24, 5), 0.0),
    (np.eye(4) > 0, np.ones((4, 4)) > 0, 2 * 4 / 20),
    (np.zeros((4, 4)) > 0, np.zeros((4, 4)) > 0, 1.0),
    (np.zeros((4, 4)) > 0, np.eye(4) > 0, 0.0),
  ],
)
def test_dice(one, other, expected):
  assert float(dice(one, other)) == pytest.approx(expected)
  assert float(dice(other, one)) == pytest.approx(expected)


def test_dice_loss_is_that_of_confident_masks():
  one, other = disc(32, 10, 10, 6), disc(32, 12, 10, 6)
  logits = jnp.where(one, 20.0, -20.0)
  loss = float(dice_loss(logits, other.astype(np.float32)))
  assert loss == pytest.approx(1 - float(dice(one, other)), abs=5e-3)


def test_degraded_masks_spread_over_the_whole_range():
  count = 200
  truth = np.stack([disc(48, 20 + i % 8, 24, 5 + i % 7) for i in range(count)])
  keys = image_keys(jax.random.key(0), np.arange(count, dtype=np.uint32))
  masks, scores = map(np.asarray, jax.jit(degrade_evenly)(keys, truth, truth))
  np.testing.assert_allclose(scores, dice(masks, truth), rtol=1e-6)
  shares = np.histogram(scores, 5, (0, 1))[0] / count
  assert shares.min() > 0.08
  assert shares.max() < 0.4


def test_nothing_is_degraded_to_something_small_or_nothing():
  empty = np.zeros((48, 48), bool)
  areas = [degrade(jax.random.key(i), empty).sum() for i in range(12)]
  assert 0 < np.count_nonzero(areas) < 12
  assert max(areas) < 0.2 * empty.size


def test_augmentation_moves_an_image_and_its_mask_alike():
  mask = disc(48, 20, 28, 9)
  image = np.where(mask, 1.0, -1.0).astype(np.float32)
  keys = image_keys(jax.random.key(1), np.arange(16, dtype=np.uint32))
  images, masks = augment(
    keys,
    np.broadcast_to(image[..., None], (16, 48, 48, 1)),
    np.broadcast_to(mask[..., None], (16, 48, 48, 1)),
    Augmentation(gain=0.0, offset=0.0),
  )
  moved = np.asarray(dice(images[..., 0] > 0, masks[..., 0]))
  assert moved.min() > 0.93
  assert dice(masks[..., 0], np.broadcast_to(mask, (16, 48, 48))).min() < 0.9


def test_no_augmentation_changes_nothing(random):
  images = random.uniform(-1, 1, (2, 16, 16, 1)).astype(np.float32)
  none = Augmentation(0.0, 0.0, 0.0, False, 0.0, 0.0, 0.0)
  keys = image_keys(jax.random.key(0), np.arange(2, dtype=np.uint32))
  same, _ = augment(keys, images, images > 0, none)
  np.testing.assert_allclose(same, images, atol=1e-5)
