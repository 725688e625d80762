import hashlib

import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.data.features import Features
from genmed_jax.data.formats import open_source
from genmed_jax.data.source import Source


@pytest.mark.parametrize('suffix', ['npy', 'npz'])
def test_images_of_the_other_byte_order(tmp_path, random, suffix):
  images = random.integers(0, 60_000, (4, 5, 6)).astype('>u2')
  path = tmp_path / f'a.{suffix}'
  np.save(path, images) if suffix == 'npy' else np.savez(path, images=images)
  found = open_source(str(path)).read(1)
  assert found.dtype == np.uint16
  np.testing.assert_array_equal(found[:, :, 0], images[1])


@pytest.mark.parametrize('channels', [(), (1,), (3,)])
def test_image_files(tmp_path, random, channels):
  images = random.random((4, 5, 6, *channels))
  np.save(tmp_path / 'a.npy', images)
  np.savez(tmp_path / 'a.npz', images=images, other=np.zeros(3))
  for name in ('a.npy', 'a.npz'):
    source = open_source(str(tmp_path / name))
    assert source.read(2).shape == (5, 6, channels[0] if channels else 1)
    np.testing.assert_array_equal(source.read(2), images[2].reshape(5, 6, -1))


def test_feature_files(tmp_path, random):
  values = np.float32(random.random((4, 7)))
  np.savez(tmp_path / 'f.npz', features=values, logits=values[:, :3])
  np.save(tmp_path / 'f.npy', values.astype(np.float16))
  source = open_source(str(tmp_path / 'f.npz'))
  assert isinstance(source, Features)
  np.testing.assert_array_equal(source.values, values)
  assert source.outputs['logits'].shape == (4, 3)
  assert open_source(str(tmp_path / 'f.npy')).values.dtype == np.float32


def test_a_file_of_images_and_features_holds_images(tmp_path, images):
  path = tmp_path / 'both.npz'
  np.savez(path, images=images, features=np.zeros((6, 3)))
  source = open_source(str(path))
  assert isinstance(source, Source)
  np.testing.assert_array_equal(source.read(1)[..., 0], images[1])


@pytest.mark.parametrize('kind', [np.asarray, jnp.asarray])
@pytest.mark.parametrize('channels', [(), (1,), (3,)])
def test_arrays_of_images(random, kind, channels):
  images = np.float32(random.random((4, 5, 6, *channels)))
  source = open_source(kind(images), name='mine')
  assert isinstance(source, Source)
  assert (source.name, list(source.ids)) == ('mine', ['0', '1', '2', '3'])
  for i in range(4):
    np.testing.assert_array_equal(source.read(i), images[i].reshape(5, 6, -1))
  assert source.read_mask is None
  assert source.labels == {}


@pytest.mark.parametrize('kind', [np.asarray, jnp.asarray])
def test_a_matrix_holds_features(random, kind):
  values = np.float32(random.random((4, 7)))
  features = open_source(kind(values), name='mine')
  assert isinstance(features, Features)
  assert (features.name, len(features)) == ('mine', 4)
  assert features.outputs == features.labels == {}
  np.testing.assert_array_equal(features.values, values)
  np.testing.assert_array_equal(features.numbers, range(4))


def test_arrays_are_known_by_their_content(images):
  def digest(array, rows=range(6)):
    return open_source(array).digest(rows)

  known = digest(images)
  for same in (images.copy(), np.asfortranarray(images), jnp.asarray(images)):
    assert digest(same) == known
  changed = images.copy()
  changed[4, 2, 3] ^= 1
  assert digest(changed, range(4)) == digest(images, range(4))
  for other in (
    changed,
    images[::-1],
    images.view(np.int8),
    images.reshape(6, 9, 8),
    images.astype(np.uint16),
  ):
    assert digest(other) != known
  few = open_source(images).take(np.array([4, 1]))
  assert few.digest(range(2)) == digest(images[[4, 1]], range(2))


def test_nothing_is_hashed_before_a_digest_is_asked_for(images, monkeypatch):
  hashed = []

  def sha256(*content):
    hashed.extend(np.asarray(each).tobytes() for each in content)
    return digest(*content)

  digest = hashlib.sha256
  monkeypatch.setattr(hashlib, 'sha256', sha256)
  source = open_source(images)
  source.take(np.array([0, 2])).read(1)
  assert not hashed
  # And then an image once, and no more images than are asked for.
  assert source.digest(range(1, 3)) == source.digest(range(1, 3))
  assert hashed == [image.tobytes() for image in images[1:3]]


BAD = [
  (np.zeros((4, 5, 6, 2)), r'this is \[4, 5, 6, 2\]'),
  (np.zeros(4), r'this is \[4\]'),
  (np.float64(3), r'this is \[\]'),
  (np.zeros((4, 0, 3)), 'are no images'),
  (np.full((4, 2, 2), 'a'), 'are no images'),
  (np.full((4, 2), 1e60), r'larger than 1e\+30'),
  (np.zeros((4, 5), int), 'features must be floats, not int64'),
  (np.array([[1.0], [np.nan]]), '1 rows of features are not finite'),
]


@pytest.mark.parametrize(('array', 'message'), BAD)
def test_bad_files(tmp_path, array, message):
  np.save(tmp_path / 'a.npy', array)
  with pytest.raises(ValueError, match=message):
    open_source(str(tmp_path / 'a.npy'))


@pytest.mark.parametrize(
  ('array', 'message'),
  [*BAD, ([[1.0, 2.0], [3.0]], 'cannot be read as an array')],
)
def test_bad_arrays(array, message):
  with pytest.raises(ValueError, match=f'mine: .*{message}'):
    open_source(array, name='mine')


def test_arrays_under_other_names(tmp_path):
  np.savez(tmp_path / 'a.npz', data=np.zeros((3, 4, 4)))
  with pytest.raises(ValueError, match='key images or features; it has data'):
    open_source(str(tmp_path / 'a.npz'))


@pytest.mark.parametrize('content', [b'', b'not an archive', b'PK\x03\x04 cut'])
@pytest.mark.parametrize('suffix', ['.npz', '.npy'])
def test_files_that_are_no_arrays(tmp_path, content, suffix):
  path = tmp_path / f'a{suffix}'
  path.write_bytes(content)
  with pytest.raises(ValueError, match='cannot be read as numpy arrays'):
    open_source(str(path))


@pytest.mark.parametrize(
  ('logits', 'message'),
  [
    (np.zeros((3, 5)), '3 rows of logits for 4 of features'),
    (np.zeros(4), r'logits must be \[n, d\]'),
    (np.zeros((4, 0)), r'logits must be \[n, d\]'),
    (np.full((4, 2), np.nan), '4 rows of logits are not finite'),
  ],
)
def test_bad_logits(tmp_path, logits, message):
  np.savez(tmp_path / 'a.npz', features=np.zeros((4, 6)), logits=logits)
  with pytest.raises(ValueError, match=message):
    open_source(str(tmp_path / 'a.npz'))


def test_other_arrays_in_the_file_are_let_be(tmp_path):
  others = np.array([{}], dtype=object)
  np.savez(tmp_path / 'a.npz', features=np.zeros((4, 6)), others=others)
  assert len(open_source(str(tmp_path / 'a.npz'))) == 4


def test_masks_and_columns_in_an_archive(tmp_path, images):
  path = tmp_path / 'set.npz'
  columns = {
    'subject': np.array(list('aabbcc')),
    'class': np.arange(6) // 2,
    'dose': np.linspace(0, 1, 6),
  }
  np.savez(path, images=images, masks=images > 99, **columns)
  source = open_source(str(path))
  assert {name: list(each) for name, each in source.labels.items()} == {
    'subject': list('aabbcc'),
    'class': list('001122'),
  }
  np.testing.assert_array_equal(source.read_mask(2), images[2] > 99)
  np.savez(path, images=images, masks=images[:, :3])
  with pytest.raises(ValueError, match=r'masks must be integers \[6, 8, 9\]'):
    open_source(str(path))


@pytest.mark.parametrize('dtype', [jnp.bfloat16, np.dtype('>f4'), np.float16])
def test_floats_of_any_kind_are_features_and_images(dtype):
  values = np.random.default_rng(0).random((4, 3)).astype(dtype)
  assert open_source(values).values.dtype == np.float32
  image = open_source(np.repeat(values[:, :, None], 3, 2)).read(1)
  assert image.dtype.isnative
  np.testing.assert_array_equal(image[:, 0, 0], np.float32(values[1]))
