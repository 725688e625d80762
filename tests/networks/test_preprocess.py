import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from genmed_jax.networks.preprocess import Preprocess, preprocess


def resized(images, sizes, resize, size=20):
  """In units of pixels, ``[b, size, size, 3]``."""
  config = Preprocess(size=size, resize=resize, centre=0.0, scale=1.0)
  return np.asarray(preprocess(jnp.asarray(images), jnp.asarray(sizes), config))


def bilinear_tf1(image, size):
  """TensorFlow 1's resize: corner-aligned source grid, no antialiasing."""
  out = np.arange(size)
  axes = []
  for extent in image.shape[:2]:
    source = out * extent / size
    low = source.astype(int)
    axes.append((low, np.minimum(low + 1, extent - 1), source - low))
  (y0, y1, fy), (x0, x1, fx) = axes
  rows = image[y0] * (1 - fy)[:, None] + image[y1] * fy[:, None]
  return rows[:, x0] * (1 - fx) + rows[:, x1] * fx


def bicubic_pillow(image, size):
  picture = Image.fromarray(image.astype(np.float32))
  picture = picture.resize((size, size), Image.Resampling.BICUBIC)
  return np.asarray(picture).clip(0, 255)


TWINS = {'tf1': bilinear_tf1, 'clean': bicubic_pillow}


@pytest.mark.parametrize('resize', TWINS)
@pytest.mark.parametrize(
  'shape', [(20, 20), (7, 9), (61, 43), (20, 55), (200, 10), (1, 1)]
)
def test_equals_its_twin(random, resize, shape):
  image = random.integers(0, 255, shape).astype(np.uint8)
  ours = resized(image[None, :, :, None], [shape], resize)
  theirs = TWINS[resize](image, 20)
  for channel in range(3):
    np.testing.assert_allclose(ours[0, :, :, channel], theirs, atol=2e-3)


@pytest.mark.parametrize('resize', TWINS)
def test_canvas_around_an_image_does_not_matter(random, resize):
  image = random.integers(0, 255, (30, 25, 3)).astype(np.uint8)
  canvas = np.full((1, 64, 96, 3), 200, np.uint8)
  canvas[0, :30, :25] = image
  np.testing.assert_allclose(
    resized(canvas, [(30, 25)], resize),
    resized(image[None], [(30, 25)], resize),
    atol=1e-4,
  )


@pytest.mark.parametrize(
  'image',
  [
    np.full((1, 4, 4, 1), 51, np.uint8),
    np.full((1, 4, 4, 1), 51 * 257, np.uint16),
    np.full((1, 4, 4, 1), 0.2, np.float32),
  ],
)
def test_every_dtype_means_the_same_range(image):
  np.testing.assert_allclose(resized(image, [(4, 4)], 'tf1'), 51, rtol=1e-5)


def test_inception_range():
  image = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
  outputs = preprocess(image, jnp.array([[1, 2]]), Preprocess())
  assert outputs.shape == (1, 299, 299, 3)
  np.testing.assert_allclose(outputs.min(), -1.0)
  np.testing.assert_allclose(outputs.max(), 127 / 128)
