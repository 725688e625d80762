import numpy as np
import pytest

from genmed_jax.data import regions
from genmed_jax.data.formats import arrays


@pytest.mark.parametrize(
  ('at', 'start'),
  [((20, 20), (12, 12)), ((2, 38), (0, 24)), ((38, 2), (24, 0))],
)
def test_crop_is_native_and_inside(random, at, start):
  image = random.random((40, 40))
  mask = np.zeros((40, 40), bool)
  mask[at] = True
  cut = regions.crop(image, mask, 16)
  rows, columns = (slice(s, s + 16) for s in start)
  np.testing.assert_array_equal(cut, image[rows, columns])


def test_small_images_are_filled_up(random):
  image = random.random((10, 40))
  cut = regions.crop(image, np.ones((10, 40), bool), 16)
  assert cut.shape == (16, 16)
  np.testing.assert_array_equal(cut[:10], image[:, 12:28])
  assert not cut[10:].any()


def test_extents(random):
  mask = np.zeros((20, 30), bool)
  assert regions.extent(mask) == 0
  mask[4:7, 10:15] = True
  assert regions.extent(mask) == 5
  assert regions.usual_size(np.array([5, 17, 18, 40])) == 24


def disc(blur=0.0, texture=0.0):
  rows, columns = np.mgrid[:48, :48]
  radius = np.hypot(rows - 24, columns - 24)
  edge = 1 / (1 + np.exp((radius - 12) / max(blur, 1e-3)).clip(max=1e9))
  wave = texture * np.sin(columns)
  return np.float32(0.3 + 0.4 * edge + wave), radius < 12


def test_statistics_tell_edge_from_texture():
  made = [disc(0.1), disc(2.0), disc(0.1, 0.05)]
  images, masks = (np.stack(part) for part in zip(*made, strict=True))
  found = regions.describe(regions.Regions(images, masks))
  names = {name: found[:, i] for i, name in enumerate(regions.STATISTICS)}
  sharp, blurred, textured = names['sharpness']
  assert blurred < 0.7 * sharp
  assert names['gradient'][2] > 10 * names['gradient'][0]
  assert names['roughness'][2] > 10 * names['roughness'][0]
  assert names['spread'][2] == pytest.approx(0.05 / 2**0.5, rel=0.1)


def test_cut_out_of_a_source(random):
  images = np.float32(random.random((3, 20, 20)))
  masks = np.zeros((3, 20, 20), bool)
  masks[:, 8:12, 8:12] = True
  source = arrays.stack('set', images, 'stamp {}'.format, {}, masks)
  cut = regions.cut_out(source, 8)
  np.testing.assert_array_equal(cut.images, images[:, 6:14, 6:14])
  assert cut.masks.sum() == 3 * 16
