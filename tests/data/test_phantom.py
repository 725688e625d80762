import numpy as np
import pytest

from genmed_jax.data import phantom
from genmed_jax.data.sources import open_source


def slices(**keys):
  return phantom.brain_slices(phantom.Settings(**{'n': 24, 'size': 48} | keys))


def test_anatomy():
  drawn = slices(n=64)
  assert drawn.images.shape == (64, 48, 48)
  assert drawn.images.dtype == np.uint8
  assert set(np.unique(drawn.tissue)) == set(range(len(phantom.TISSUES)))
  tumour = drawn.mask.any((1, 2))
  assert 0.3 < tumour.mean() < 0.7
  inside = drawn.images[drawn.mask].mean()
  grey = drawn.tissue == phantom.TISSUES.index('grey')
  assert inside > 1.2 * drawn.images[grey].mean()


def test_seed_is_the_set():
  one, same, other = slices(seed=1), slices(seed=1), slices(seed=2)
  np.testing.assert_array_equal(one.images, same.images)
  assert not (one.images == other.images).all((1, 2)).any()


def test_an_image_does_not_depend_on_how_many_are_drawn():
  np.testing.assert_array_equal(slices(n=70).images[:24], slices().images)


def test_memorised_share_is_exact_copies():
  original, copied = (
    slices(n=100, seed=4),
    slices(n=100, seed=5, memorised=0.6, of=4),
  )
  same = (original.images == copied.images).all((1, 2))
  assert 0.45 < same.mean() < 0.75


def test_noise_is_what_was_asked():
  quiet, loud = slices(noise=0.0), slices(noise=0.1)
  bright = quiet.images > 80
  difference = loud.images[bright] / 255.0 - quiet.images[bright] / 255.0
  np.testing.assert_allclose(difference.std(), 0.1, rtol=0.1)


def test_source():
  source = open_source('phantom:brain?n=10&size=32&seed=3')
  assert len(source) == 10
  assert set(source.labels['class']) <= {'tumour', 'healthy'}
  named = open_source('train=phantom:brain?n=10&size=32&seed=3')
  assert named.name == 'train'
  assert named.digest(range(10)) == source.digest(range(10))


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('phantom:liver', "unknown phantom 'liver'; there is: brain"),
    ('phantom:brain?sed=1', "unknown key 'sed'; known: n, size, seed"),
    ('phantom:brain?n=many', 'n must be a number'),
    ('phantom:brain?n=-3', 'n must be from 1 to'),
    ('phantom:brain?n=99999999999', 'n must be from 1 to'),
    ('phantom:brain?seed=4294967296', 'seeds from 0 to'),
    ('phantom:brain?noise=inf', 'noise from 0 to 10'),
    ('phantom:brain?memorised=2', r'memorised in \[0, 1\]'),
  ],
)
def test_bad_phantoms(text, message):
  with pytest.raises(ValueError, match=message):
    open_source(text)
