import numpy as np
import pytest

from genmed_jax.data import phantom
from genmed_jax.data.formats import open_source
from genmed_jax.data.phantom import brain, vessels


def drawn(name='brain', **keys):
  options = {'n': 24, 'size': 32} | keys
  return phantom.draw(phantom.Settings(name, **options))


@pytest.mark.parametrize('contrast', brain.SIGNALS)
def test_brain_anatomy(contrast):
  found = drawn(n=64, contrast=contrast, noise=0.0)
  assert found.images.shape == (64, 32, 32)
  assert found.images.dtype == np.uint8
  assert set(np.unique(found.tissue)) == set(range(len(brain.TISSUES)))
  signal = dict(zip(brain.TISSUES, brain.SIGNALS[contrast], strict=True))
  means = {
    name: found.images[found.tissue == brain.TISSUES.index(name)].mean()
    for name in ('fluid', 'grey', 'white')
  }
  assert sorted(means, key=means.get) == sorted(means, key=signal.get)


def test_tumours_have_exact_masks_and_kinds_in_their_shares():
  found = drawn(n=400, tumours=0.5)
  has = found.mask.any((1, 2))
  np.testing.assert_array_equal(
    found.mask, found.tissue == brain.TISSUES.index('tumour')
  )
  assert not has[found.kind == 'healthy'].any()
  assert has[found.kind != 'healthy'].mean() > 0.97  # Some lie at the rim.
  assert 0.4 < (found.kind == 'healthy').mean() < 0.6
  names, counts = np.unique(
    found.kind[found.kind != 'healthy'], return_counts=True
  )
  shares = dict(zip(names, counts / counts.sum(), strict=True))
  assert shares['solid'] == pytest.approx(0.4, abs=0.1)
  assert shares['diffuse'] == pytest.approx(0.2, abs=0.1)
  areas = found.mask.sum((1, 2))[has]
  assert np.percentile(areas, 90) > 4 * np.percentile(areas, 10)


def test_angiograms():
  found = drawn('mra', n=200, size=64, noise=0.0)
  assert found.images[found.mask].mean() > 2 * found.images[~found.mask].mean()
  shares = [(found.kind == name).mean() for name in vessels.CLASSES]
  np.testing.assert_allclose(shares, [0.4, 0.4, 0.2], atol=0.1)
  lumen = [
    found.mask[found.kind == name].sum((1, 2)).mean()
    for name in vessels.CLASSES
  ]
  assert lumen[0] > lumen[2]


def test_scanners_differ():
  found = drawn(n=200, scanner_a=0.3, noise=0.02)
  assert (found.scanner == 'A').mean() == pytest.approx(0.3, abs=0.1)
  one, other = (drawn(scanner_a=a, noise=0.02) for a in (1.0, 0.0))
  np.testing.assert_array_equal(one.mask, other.mask)
  air = one.tissue == 0
  assert other.images[air].mean() > 1.3 * one.images[air].mean()


def test_seed_is_the_set():
  one, same, other = drawn(seed=1), drawn(seed=1), drawn(seed=2)
  np.testing.assert_array_equal(one.images, same.images)
  assert not (one.images == other.images).all((1, 2)).any()


@pytest.mark.parametrize(
  ('name', 'means', 'deviations', 'kinds', 'scanners', 'masks'),
  [
    (
      'brain',
      [0.21249, 0.20651, 0.2727, 0.17815],
      [0.20981, 0.23403, 0.27526, 0.19529],
      ['healthy', 'solid', 'ring', 'healthy'],
      'BABA',
      [0.0, 0.00659, 0.04614, 0.0],
    ),
    (
      'mra',
      [0.14436, 0.10995, 0.19734, 0.13378],
      [0.1343, 0.15079, 0.16652, 0.13771],
      ['both', 'none', 'both', 'none'],
      'BABA',
      [0.0564, 0.04419, 0.05884, 0.05835],
    ),
  ],
)
def test_a_seed_keeps_its_images(
  name, means, deviations, kinds, scanners, masks
):
  found = drawn(name, n=4, size=64, seed=7)
  images = found.images / 255
  np.testing.assert_allclose(images.mean((1, 2)), means, atol=1e-4)
  np.testing.assert_allclose(images.std((1, 2)), deviations, atol=1e-4)
  np.testing.assert_allclose(found.mask.mean((1, 2)), masks, atol=1e-3)
  assert list(found.kind) == kinds
  assert ''.join(found.scanner) == scanners


def test_an_image_does_not_depend_on_how_many_are_drawn():
  np.testing.assert_array_equal(drawn(n=70).images[:24], drawn().images)


def test_memorised_share_is_exact_copies():
  original, copied = (
    drawn(n=100, seed=4),
    drawn(n=100, seed=5, memorised=0.6, of=4),
  )
  same = (original.images == copied.images).all((1, 2))
  assert 0.45 < same.mean() < 0.75


def test_noise_is_what_was_asked():
  quiet, loud = (drawn(noise=noise, scanner_a=1.0) for noise in (0.0, 0.1))
  bright = (quiet.images > 80) & (quiet.images < 170)
  difference = loud.images[bright] / 255.0 - quiet.images[bright] / 255.0
  np.testing.assert_allclose(difference.std(), 0.1, rtol=0.1)


def test_source():
  source = open_source('phantom:brain?n=10&size=32&seed=3')
  assert len(source) == 10
  assert set(source.labels['class']) <= set(brain.CLASSES)
  assert set(source.labels['scanner']) <= {'A', 'B'}
  assert source.read_mask(0).shape == (32, 32)
  named = open_source('train=phantom:brain?n=10&size=32&seed=3')
  assert named.name == 'train'
  assert named.digest(range(10)) == source.digest(range(10))


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('phantom:liver', "unknown phantom 'liver'; there are: brain, mra"),
    ('phantom:brain?sed=1', "unknown key 'sed'; known: n, size, seed"),
    ('phantom:mra?contrast=t1', "unknown key 'contrast'"),
    ('phantom:brain?contrast=t3', 'contrast one of flair, t1, t2'),
    ('phantom:brain?n=many', 'n must be a number'),
    ('phantom:brain?n=-3', 'n must be from 1 to'),
    ('phantom:brain?n=99999999999', 'n must be from 1 to'),
    ('phantom:brain?seed=4294967296', 'seeds from 0 to'),
    ('phantom:brain?noise=inf', 'noise from 0 to 10'),
    ('phantom:brain?memorised=2', r'memorised, .* in \[0, 1\]'),
  ],
)
def test_bad_phantoms(text, message):
  with pytest.raises(ValueError, match=message):
    open_source(text)
