import os

import numpy as np
from PIL import Image
import pytest

from genmed_jax.data.formats import open_source
from genmed_jax.data.source import Source
from genmed_jax.errors import DecodeError


def test_folder_is_sorted_and_classed_by_its_first_sub_folder(
  image_folder, images
):
  root = image_folder('set', images, classes=('b/deep', 'a'))
  (root / 'notes.txt').write_text('not an image')
  source = open_source(str(root))
  assert isinstance(source, Source)
  assert source.name == 'set'
  assert source.ids == sorted(source.ids)
  assert source.ids[0] == 'a/001.png'
  assert list(source.labels['class']) == ['a'] * 3 + ['b'] * 3
  np.testing.assert_array_equal(source.read(0)[..., 0], images[1])


def test_content_list_tells_files_apart_that_look_alike(image_folder, images):
  rows = range(6)
  roots = [
    image_folder(f'{i}/set', each)
    for i, each in enumerate((images, 255 - images))
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


def test_links_are_followed_and_dangling_ones_named(
  image_folder, images, tmp_path
):
  real = image_folder('real', images)
  linked = tmp_path / 'linked'
  linked.mkdir()
  (linked / 'images').symlink_to(real)
  (linked / 'images' / 'back').symlink_to(linked)
  assert len(open_source(str(linked))) == 6
  (linked / 'gone.png').symlink_to(tmp_path / 'nowhere.png')
  with pytest.raises(ValueError, match='gone.png. is not a file'):
    open_source(str(linked))


def test_a_folder_without_images(tmp_path):
  with pytest.raises(ValueError, match='no images below it'):
    open_source(str(tmp_path))


def test_masks_beside_images_are_masks(image_folder, images):
  root = image_folder('set', images[:4])
  for old, new in (('001', '000_mask'), ('003', '002_mask')):
    (root / f'{old}.png').rename(root / f'{new}.png')
  source = open_source(str(root))
  assert source.ids == ['000.png', '002.png']
  np.testing.assert_array_equal(source.read_mask(0), images[1] > 0)
  np.testing.assert_array_equal(
    source.take(np.array([1])).read_mask(0), images[3] > 0
  )


def _write(path, pixels):
  Image.fromarray(pixels).save(path)


def _break(path):
  path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize(
  ('spoil', 'reason'),
  [
    (lambda path: _write(path, np.zeros((4, 5), np.uint8)), r'it is \(4, 5\)'),
    (_break, ''),
  ],
)
def test_masks_that_cannot_be_used_are_named(
  image_folder, images, spoil, reason
):
  root = image_folder('set', images[:3])
  (root / '001.png').rename(root / '000_mask.png')
  spoil(root / '000_mask.png')
  source = open_source(str(root))
  with pytest.raises(DecodeError, match=f'_mask.png cannot be used: {reason}'):
    source.read_mask(0)
