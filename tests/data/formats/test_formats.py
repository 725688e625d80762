import numpy as np
import pytest

from genmed_jax.data.formats import open_source
from genmed_jax.errors import UsageError


def test_names(image_folder, images):
  root = image_folder('lr=0.1', images)
  assert open_source(f'my model={root}').name == 'my model'
  assert open_source(str(root)).name == 'lr=0.1'


def test_a_name_that_is_given_comes_before_one_in_the_text(
  image_folder, images, tmp_path
):
  root = image_folder('set', images)
  np.save(tmp_path / 'file.npy', images)
  for given in (
    root,  # As a path, or as text.
    f'{root}',
    f'other={root}',
    tmp_path / 'file.npy',
    'phantom:brain?n=10&size=32',
    images,
  ):
    assert open_source(given, name='mine').name == 'mine'
  assert open_source(tmp_path / 'file.npy').name == 'file'
  assert open_source(images).name == 'array'


def test_nothing_there(tmp_path):
  with pytest.raises(ValueError, match='no such file or folder'):
    open_source(str(tmp_path / 'nowhere'))
  (tmp_path / 'a.pdf').write_text('')
  with pytest.raises(ValueError, match=r'\.csv manifest'):
    open_source(str(tmp_path / 'a.pdf'))


def test_sets_have_a_smallest_size(images):
  for few in (images[:1], np.ones((1, 3), np.float32)):
    with pytest.raises(ValueError, match='mine: needs at least 2 .* has 1'):
      open_source(few, name='mine')
    assert len(open_source(few, at_least=1)) == 1
    with pytest.raises(ValueError, match='at least 1 images, has 0'):
      open_source(few[:0], at_least=1)


def test_limit_is_a_seeded_draw_in_order(image_folder, images):
  root = str(image_folder('set', images))
  one, same, other = (
    open_source(root, limit=3, seed=seed).ids for seed in (1, 1, 2)
  )
  assert one == same == sorted(one)
  assert len(one) == 3
  source = open_source(root, limit=3, seed=1)
  assert [f'{n:03d}.png' for n in source.numbers] == source.ids
  assert one != other
  assert len(open_source(root, limit=100)) == 6


def test_arrays_are_limited_as_files_are(image_folder, images):
  files = open_source(str(image_folder('set', images)), limit=3, seed=1)
  for array in (images, np.float32(images[:, 0])):
    drawn = open_source(array, limit=3, seed=1)
    np.testing.assert_array_equal(drawn.numbers, files.numbers)
  np.testing.assert_array_equal(drawn.values, images[files.numbers, 0])


@pytest.mark.parametrize('option', ['source', 'root'])
def test_no_such_home_folder(tmp_path, option):
  (tmp_path / 'a.csv').write_text('path\nx.png\n')
  given = {'source': str(tmp_path / 'a.csv')} | {option: '~nobody-here/x'}
  with pytest.raises(UsageError, match='there is no such home folder'):
    open_source(given.pop('source'), **given)
