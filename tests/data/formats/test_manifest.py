import numpy as np
import pytest

from genmed_jax.data.formats import open_source


def write_manifest(root, text):
  path = root / 'manifest.csv'
  path.write_text(text)
  return str(path)


def test_manifest(image_folder, images):
  root = image_folder('set', images)
  manifest = write_manifest(
    root, 'finding,path\nmass,002.png\nnone,000.png\nmass,002.png\n'
  )
  source = open_source('named=' + manifest)
  assert source.name == 'named'
  assert source.ids == ['002.png', '000.png', '002.png']
  assert list(source.labels['finding']) == ['mass', 'none', 'mass']
  np.testing.assert_array_equal(source.read(1)[..., 0], images[0])


def test_manifest_with_root_and_column(image_folder, images, tmp_path):
  root = image_folder('set', images)
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
    ('path\n000.png\n', 'at least 2 images, has 1'),
    ('', 'it has none'),
  ],
)
def test_bad_manifests(image_folder, images, text, message):
  manifest = write_manifest(image_folder('set', images), text)
  with pytest.raises(ValueError, match=message):
    open_source(manifest)


def test_masks_in_a_manifest(image_folder, images):
  root = image_folder('set', images)
  manifest = write_manifest(root, 'path,mask\n000.png,001.png\n002.png,\n')
  source = open_source(manifest)
  np.testing.assert_array_equal(source.read_mask(0), images[1] > 0)
  assert not source.read_mask(1).any()
