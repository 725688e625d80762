import os

import numpy as np
import pytest

from genmed_jax.data.source import Source, StoredFeatures
from genmed_jax.data.sources import open_source

IMAGES = np.random.default_rng(0).integers(0, 255, (6, 8, 9)).astype(np.uint8)


def test_folder_is_sorted_and_classed_by_its_first_sub_folder(image_folder):
  root = image_folder('set', IMAGES, classes=('b/deep', 'a'))
  (root / 'notes.txt').write_text('not an image')
  source = open_source(str(root))
  assert isinstance(source, Source)
  assert source.name == 'set'
  assert source.ids == sorted(source.ids)
  assert source.ids[0] == 'a/001.png'
  assert list(source.labels['class']) == ['a'] * 3 + ['b'] * 3
  np.testing.assert_array_equal(source.read(0)[..., 0], IMAGES[1])


def test_content_list_tells_files_apart_that_look_alike(image_folder):
  rows = range(6)
  roots = [
    image_folder(f'{i}/set', images)
    for i, images in enumerate((IMAGES, 255 - IMAGES))
  ]
  for root in roots:
    for path in root.iterdir():
      size = 2000 - path.stat().st_size
      path.write_bytes(path.read_bytes() + bytes(size))
      os.utime(path, ns=(0, 12345))
  one, other = (open_source(str(root)).digest(rows) for root in roots)
  assert one != other
  assert open_source(str(roots[0])).digest(rows) == one
  (roots[0] / '003.png').write_bytes((roots[1] / '003.png').read_bytes())
  os.utime(roots[0] / '003.png', ns=(0, 12345))
  assert open_source(str(roots[0])).digest(rows) != one


def write_manifest(root, text):
  path = root / 'manifest.csv'
  path.write_text(text)
  return str(path)


def test_manifest(image_folder):
  root = image_folder('set', IMAGES)
  manifest = write_manifest(
    root, 'finding,path\nmass,002.png\nnone,000.png\nmass,002.png\n'
  )
  source = open_source('named=' + manifest)
  assert source.name == 'named'
  assert source.ids == ['002.png', '000.png', '002.png']
  assert list(source.labels['finding']) == ['mass', 'none', 'mass']
  np.testing.assert_array_equal(source.read(1)[..., 0], IMAGES[0])


def test_manifest_with_root_and_column(image_folder, tmp_path):
  root = image_folder('set', IMAGES)
  manifest = write_manifest(tmp_path, 'file\n000.png\n001.png\n')
  source = open_source(manifest, root=str(root), image_column='file')
  assert len(source) == 2


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('file\n000.png\n', 'no column one of path, img_savename'),
    ('path\n../outside.png\n', r'\.\./outside\.png leaves its root'),
    ('path\n/etc/hostname\n', '/etc/hostname leaves its root'),
    ('path\n000.png\nmissing.png\n', "'missing.png' is not a file in"),
    ('path\n000.png\n""\n', "'' is not a file in"),
    ('path,path\n000.png,a\n', "two columns are called 'path'"),
    ('path\n000.png\n', 'at least two images, has 1'),
    ('', 'it has none'),
  ],
)
def test_bad_manifests(image_folder, text, message):
  manifest = write_manifest(image_folder('set', IMAGES), text)
  with pytest.raises(ValueError, match=message):
    open_source(manifest)


@pytest.mark.parametrize('channels', [(), (1,), (3,)])
def test_image_arrays(tmp_path, channels):
  images = np.random.default_rng(0).random((4, 5, 6, *channels))
  np.save(tmp_path / 'a.npy', images)
  np.savez(tmp_path / 'a.npz', images=images, other=np.zeros(3))
  for name in ('a.npy', 'a.npz'):
    source = open_source(str(tmp_path / name))
    assert source.read(2).shape == (5, 6, channels[0] if channels else 1)
    np.testing.assert_array_equal(source.read(2), images[2].reshape(5, 6, -1))


def test_feature_arrays(tmp_path):
  values = np.float32(np.random.default_rng(0).random((4, 7)))
  np.savez(tmp_path / 'f.npz', features=values, logits=values[:, :3])
  np.save(tmp_path / 'f.npy', values.astype(np.float16))
  source = open_source(str(tmp_path / 'f.npz'))
  assert isinstance(source, StoredFeatures)
  np.testing.assert_array_equal(source.features, values)
  assert source.beside['logits'].shape == (4, 3)
  assert open_source(str(tmp_path / 'f.npy')).features.dtype == np.float32


@pytest.mark.parametrize(
  ('array', 'message'),
  [
    (np.zeros((4, 5, 6, 2)), r'this is \[4, 5, 6, 2\]'),
    (np.zeros(4), r'this is \[4\]'),
    (np.float64(3), r'this is \[\]'),
    (np.zeros((4, 0, 3)), 'are no images'),
    (np.full((4, 2, 2), 'a'), 'are no images'),
    (np.full((4, 2), 1e60), r'larger than 1e\+30'),
    (np.zeros((4, 5), int), 'features must be floats, not int64'),
    (np.array([[1.0], [np.nan]]), '1 rows of features are not finite'),
  ],
)
def test_bad_arrays(tmp_path, array, message):
  np.save(tmp_path / 'a.npy', array)
  with pytest.raises(ValueError, match=message):
    open_source(str(tmp_path / 'a.npy'))


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


def test_links_are_followed_and_dangling_ones_named(image_folder, tmp_path):
  real = image_folder('real', IMAGES)
  linked = tmp_path / 'linked'
  linked.mkdir()
  (linked / 'images').symlink_to(real)
  (linked / 'images' / 'back').symlink_to(linked)
  assert len(open_source(str(linked))) == 6
  (linked / 'gone.png').symlink_to(tmp_path / 'nowhere.png')
  with pytest.raises(ValueError, match='gone.png. is not a file'):
    open_source(str(linked))


def test_names(image_folder):
  root = image_folder('lr=0.1', IMAGES)
  assert open_source(f'my model={root}').name == 'my model'
  assert open_source(str(root)).name == 'lr=0.1'


def test_nothing_there(tmp_path):
  with pytest.raises(ValueError, match='no such file or folder'):
    open_source(str(tmp_path / 'nowhere'))
  with pytest.raises(ValueError, match='no images below it'):
    open_source(str(tmp_path))
  (tmp_path / 'a.pdf').write_text('')
  with pytest.raises(ValueError, match=r'\.csv manifest'):
    open_source(str(tmp_path / 'a.pdf'))


def test_limit_is_a_seeded_draw_in_order(image_folder):
  root = str(image_folder('set', IMAGES))
  one, same, other = (
    open_source(root, limit=3, seed=seed).ids for seed in (1, 1, 2)
  )
  assert one == same == sorted(one)
  assert len(one) == 3
  source = open_source(root, limit=3, seed=1)
  assert [f'{n:03d}.png' for n in source.numbers] == source.ids
  assert one != other
  assert len(open_source(root, limit=100)) == 6


def test_masks_beside_images_are_masks(image_folder):
  root = image_folder('set', IMAGES[:4])
  for old, new in (('001', '000_mask'), ('003', '002_mask')):
    (root / f'{old}.png').rename(root / f'{new}.png')
  source = open_source(str(root))
  assert source.ids == ['000.png', '002.png']
  np.testing.assert_array_equal(source.read_mask(0), IMAGES[1] > 0)
  np.testing.assert_array_equal(
    source.take(np.array([1])).read_mask(0), IMAGES[3] > 0
  )


def test_masks_in_a_manifest(image_folder):
  root = image_folder('set', IMAGES)
  manifest = write_manifest(root, 'path,mask\n000.png,001.png\n002.png,\n')
  source = open_source(manifest)
  np.testing.assert_array_equal(source.read_mask(0), IMAGES[1] > 0)
  assert not source.read_mask(1).any()


def test_masks_and_columns_in_an_archive(tmp_path):
  path = tmp_path / 'set.npz'
  columns = {'subject': np.array(list('aabbcc')), 'age': np.arange(6)}
  np.savez(path, images=IMAGES, masks=IMAGES > 99, **columns)
  source = open_source(str(path))
  assert list(source.labels) == ['subject']
  np.testing.assert_array_equal(source.read_mask(2), IMAGES[2] > 99)
  np.savez(path, images=IMAGES, masks=IMAGES[:, :3])
  with pytest.raises(ValueError, match=r'masks must be integers \[6, 8, 9\]'):
    open_source(str(path))
