import jax
import numpy as np
import pytest

from genmed_jax.data.formats import arrays, open_source
from genmed_jax.training.batches import as_input, OverRows, read_pictures


def source_of(images, masks=None):
  return arrays.stack('set', images, 'stamp {}'.format, {}, masks)


def test_images_of_the_right_size_come_as_they_are(random):
  images = random.integers(0, 256, (40, 16, 16)).astype(np.uint8)
  masks = random.random((40, 16, 16)) < 0.3
  found = read_pictures(source_of(images, masks), 16, 1, 'dtype', masks=True)
  np.testing.assert_array_equal(found.images[..., 0], images)
  np.testing.assert_array_equal(found.masks, masks)
  few = found.take(np.array([3, 1]))
  np.testing.assert_array_equal(few.masks, masks[[3, 1]])


@pytest.mark.parametrize('process', [0, 1])
def test_every_process_reads_all(monkeypatch, random, process):
  monkeypatch.setattr(jax, 'process_index', lambda: process)
  images = random.integers(0, 256, (70, 8, 8)).astype(np.uint8)
  found = read_pictures(source_of(images), 8, 1, 'dtype', masks=False)
  np.testing.assert_array_equal(found.images[..., 0], images)


def test_mixed_sizes_and_colour(image_folder, random):
  shapes = [(20, 30), (16, 16), (40, 24)]
  images = [np.full((h, w, 3), (30, 60, 90), np.uint8) for h, w in shapes]
  source = open_source(str(image_folder('set', images)))
  grey = read_pictures(source, 16, 1, 'dtype', masks=False)
  assert grey.images.shape == (3, 16, 16, 1)
  assert grey.masks is None
  np.testing.assert_array_equal(grey.images, 60)
  colour = read_pictures(source, 16, 3, 'dtype', masks=False)
  np.testing.assert_array_equal(colour.images[..., 2], 90)


@pytest.mark.parametrize(
  ('channels', 'masks', 'message'),
  [(2, False, '`channels=2`'), (1, True, 'set has no masks')],
)
def test_unusable_pictures(channels, masks, message):
  source = source_of(np.zeros((2, 8, 8), np.uint8))
  with pytest.raises(ValueError, match=message):
    read_pictures(source, 8, channels, 'dtype', masks=masks)


def test_functions_over_any_number_of_rows(mesh, random):
  x, y = random.random((2, 37, 3)).astype(np.float32)
  over = OverRows(mesh, lambda w, a, b: {'sum': w * (a + b), 'in': as_input(a)})
  found = over(np.float32(2), x, y)
  np.testing.assert_allclose(found['sum'], 2 * (x + y), rtol=1e-6)
  assert found['in'].shape == (37, 3)
