import threading

import numpy as np
import pytest

from genmed_jax.data import loader
from genmed_jax.data.intensity import parse_intensity
from genmed_jax.data.source import Source


def source_of(images):
  ids = [str(i) for i in range(len(images))]

  def read(i):
    if isinstance(images[i], Exception):
      raise images[i]
    return images[i]

  return Source('set', ids, np.arange(len(ids)), 'stamp {}'.format, {}, read)


def load(images, batch_size, workers=3):
  return list(
    loader.batches(
      source_of(images),
      range(len(images)),
      batch_size,
      parse_intensity('dtype'),
      workers=workers,
    )
  )


@pytest.fixture
def images(random):
  return list(random.integers(0, 255, (10, 5, 7, 1)).astype(np.uint8))


@pytest.mark.parametrize('batch_size', [1, 3, 10, 16])
def test_batches_are_in_order_padded_and_masked(images, batch_size):
  batches = load(images, batch_size)
  assert {b.images.shape for b in batches} == {(batch_size, 64, 64, 1)}
  together = np.concatenate([b.images[: b.count, :5, :7] for b in batches])
  np.testing.assert_array_equal(together, images)
  assert sum(b.decoded.sum() for b in batches) == 10
  assert not batches[-1].decoded[batches[-1].count :].any()


def test_mixed_sizes_channels_and_depths_share_a_canvas(random):
  images = [
    random.integers(0, 255, (70, 50, 1)).astype(np.uint8),
    random.integers(0, 65535, (20, 90, 1)).astype(np.uint16),
    random.random((40, 30, 3)).astype(np.float32),
  ]
  (batch,) = load(images, 3)
  assert batch.images.shape == (3, 128, 128, 3)
  assert batch.images.dtype == np.float32
  np.testing.assert_array_equal(batch.sizes, [[70, 50], [20, 90], [40, 30]])
  np.testing.assert_allclose(
    batch.images[0, :70, :50], np.broadcast_to(images[0] / 255, (70, 50, 3))
  )
  np.testing.assert_allclose(
    batch.images[1, :20, :90],
    np.broadcast_to(images[1] / 65535, (20, 90, 3)),
    rtol=1e-6,
  )
  assert not batch.images[1, 20:].any()


@pytest.mark.parametrize(
  ('side', 'expected'),
  [(1, 64), (64, 64), (65, 128), (512, 512), (1024, 1024), (1025, 1280)],
)
def test_canvas_sides(side, expected):
  assert loader._roomy(side) == expected


def test_a_broken_image_is_named_and_marked(images):
  images[4] = OSError('broken')
  batches = load(images, 4)
  assert batches[1].errors == ['set: 4 cannot be used: broken']
  assert list(batches[1].decoded) == [False, True, True, True]
  assert batches[1].count == 4


def test_a_file_the_disk_will_not_give_is_not_a_broken_image(images):
  images[4] = OSError(5, 'Input/output error')
  with pytest.raises(OSError, match='Input/output error'):
    load(images, 4)


def test_mixed_sizes_have_few_canvases(random):
  sides = random.integers(200, 600, 60)
  images = [np.zeros((s, s, 1), np.uint8) for s in sides]
  assert len({b.images.shape for b in load(images, 1)}) <= 7


def test_shapes_that_fit_no_canvas(random):
  images = [np.zeros(s, np.uint8) for s in ((1, 90000, 1), (90000, 1, 1))]
  with pytest.raises(RuntimeError, match='lower `batch_size`'):
    load(images, 2)
  assert [b.images.shape[1:3] for b in load(images, 1)] == [
    (64, 98304),
    (98304, 64),
  ]


def test_decoding_stays_a_few_batches_ahead(images):
  read, lock = [], threading.Lock()

  def count(i):
    with lock:
      read.append(i)
    return images[i % 10]

  ids = [str(i) for i in range(100)]
  stream = loader.batches(
    Source('set', ids, np.arange(100), 'stamp {}'.format, {}, count),
    range(100),
    4,
    parse_intensity('dtype'),
    workers=2,
  )
  next(stream)
  stream.close()
  assert len(read) <= 4 * (loader.PREFETCH + 1)


def test_a_hash_tells_pixels_apart_and_not_how_they_are_stored(images):
  image = images[0]
  known = loader.pixel_hash(image).tobytes()
  for same in (image.repeat(3, axis=2), np.asfortranarray(image)):
    assert loader.pixel_hash(same).tobytes() == known
  values = np.float32(image) - 3
  known_values = loader.pixel_hash(values).tobytes()
  for same in (values.astype('>f4'), values.astype(np.float64)):
    assert loader.pixel_hash(same).tobytes() == known_values
  zeros = np.zeros((2, 2, 1), np.float32)
  assert (loader.pixel_hash(-zeros) == loader.pixel_hash(zeros)).all()
  changed = image.copy()
  changed[2, 3] += 1
  for other in (
    changed,
    image.astype(np.uint16),
    image.transpose(1, 0, 2),
    np.concatenate([image, image, changed], axis=2),
  ):
    assert loader.pixel_hash(other).tobytes() != known


def test_hashes_are_of_pixels_before_their_mapping(images):
  batches = load(images, 4)
  found = np.concatenate([batch.pixels[: batch.count] for batch in batches])
  np.testing.assert_array_equal(found, list(map(loader.pixel_hash, images)))
