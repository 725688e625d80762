import inspect

import jax
import numpy as np
import pytest
import scipy.stats

from genmed_jax import perturb
from genmed_jax.perturb.base import ActsOn

KEY = jax.random.key(0)
OF_IMAGES = ('gaussian', 'rician', 'poisson', 'mode_invention')
OF_REGIONS = ('boundary_blur', 'radial_gradient')


@pytest.fixture
def images(random):
  base = random.random((6, 32, 40))
  return np.float32(base * 0.2 + 0.4)


@pytest.fixture
def masks():
  rows, columns = np.mgrid[:32, :40]
  radius = np.arange(7, 13)[:, None, None]
  return np.hypot(rows - 16, columns - 20) < radius


def arguments(name, images, masks):
  return (images, masks) if name in OF_REGIONS else (images,)


@pytest.mark.parametrize('name', perturb.FAMILIES)
def test_key_comes_first_and_level_is_a_keyword(name):
  parameters = inspect.signature(perturb.FAMILIES[name].operator).parameters
  assert list(parameters)[0] == 'key'
  assert parameters['level'].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize('name', perturb.FAMILIES)
def test_a_family_accepts_its_own_levels_and_not_zero(name):
  family = perturb.FAMILIES[name]
  assert family.name == name
  assert all(map(family.accepts, family.levels))
  assert not any(map(family.accepts, (0, -0.1)))


@pytest.mark.parametrize(
  ('name', 'level', 'accepted'),
  [
    ('gaussian', 200, True),
    ('mode_collapse', 2, True),
    ('mode_collapse', 1.5, False),
    ('density_shift', 99.5, True),
    ('density_shift', 100, False),
    ('internal_duplication', 100, False),
  ],
)
def test_levels_at_the_ends_of_what_is_accepted(name, level, accepted):
  assert perturb.FAMILIES[name].accepts(level) is accepted


def test_severity_is_the_distance_from_what_real_images_are():
  shift = perturb.FAMILIES['density_shift']
  assert list(map(shift.severity, (10, 25, 75, 90))) == [40, 25, 25, 40]
  assert perturb.FAMILIES['gaussian'].severity(0.1) == 0.1


def test_families_are_gathered_in_the_order_of_what_they_act_on():
  of_images, of_regions, of_sets = (
    {n for n, family in perturb.FAMILIES.items() if family.acts_on is acts_on}
    for acts_on in ActsOn
  )
  assert of_images == set(OF_IMAGES)
  assert of_regions == set(OF_REGIONS)
  assert of_sets == {
    'external_duplication',
    'internal_duplication',
    'mode_collapse',
    'density_shift',
  }
  order = [family.acts_on for family in perturb.FAMILIES.values()]
  assert order == sorted(order)
  needs = {n: f.needs for n, f in perturb.FAMILIES.items() if f.needs}
  assert needs == {
    'external_duplication': 'train',
    'mode_collapse': 'class',
    'density_shift': 'scanner',
  }


@pytest.mark.parametrize('name', OF_IMAGES + OF_REGIONS)
def test_an_image_comes_out_the_same_alone(name, images, masks):
  family = perturb.FAMILIES[name]
  operator, levels = family.operator, family.levels
  given = arguments(name, images, masks)
  constants = {name: known[0] for name, known in family.choices.items()}
  whole = operator(KEY, *given, level=levels[-1], **constants)
  assert whole.shape == images.shape
  assert whole.dtype == np.float32
  assert 0 <= whole.min() <= whole.max() <= 1
  keys = perturb.image_keys(KEY, np.array([4], np.uint32))
  given = [each[4:5] for each in given]
  alone = operator(keys, *given, level=levels[-1], **constants)
  np.testing.assert_allclose(alone[0], whole[4], atol=1e-6)
  assert np.abs(whole - images).max() > 1e-3


@pytest.mark.parametrize('name', ['gaussian', 'rician', 'poisson'])
@pytest.mark.parametrize('level', [0.05, 0.1])
def test_noise_has_its_law(name, level):
  flat = np.full((1, 128, 128), 0.6, np.float32)
  noisy = np.asarray(getattr(perturb, name)(KEY, flat, level=level)).ravel()
  if name == 'poisson':
    # The continuous normal limit is close enough at these counts.
    law = scipy.stats.norm(0.6, level * 0.6**0.5)
    counts = noisy / level**2
    np.testing.assert_allclose(counts, np.round(counts), atol=2e-2)
  elif name == 'rician':
    law = scipy.stats.rice(0.6 / level, scale=level)
  else:
    law = scipy.stats.norm(0.6, level)
  assert noisy.mean() == pytest.approx(law.mean(), rel=5e-3)
  assert noisy.std() == pytest.approx(law.std(), rel=3e-2)


def test_rician_lifts_darkness_as_rayleigh_does():
  dark = np.zeros((1, 128, 128), np.float32)
  noisy = np.asarray(perturb.rician(KEY, dark, level=0.1))
  assert noisy.mean() == pytest.approx(0.1 * (np.pi / 2) ** 0.5, rel=0.02)


@pytest.mark.parametrize('name', OF_REGIONS)
def test_damage_stays_in_the_region(name, images, masks):
  operator = getattr(perturb, name)
  changed = np.asarray(operator(KEY, images, masks, level=2))
  np.testing.assert_array_equal(changed[~masks], images[~masks])
  untouched = operator(KEY, images, np.zeros_like(masks), level=2)
  np.testing.assert_array_equal(untouched, images)


def test_blur_is_of_the_band_alone(images, masks):
  changed = np.asarray(
    perturb.boundary_blur(KEY, images, masks, level=2, band=3)
  )
  rows, columns = np.mgrid[:32, :40]
  for i, mask in enumerate(masks):
    depth = 7 + i - np.hypot(rows - 16, columns - 20)
    moved = changed[i] != images[i]
    assert not moved[depth > 4.5].any()
    assert moved[mask & (depth < 2)].mean() > 0.9


def test_rings_have_their_amplitude(masks):
  flat = np.full(masks.shape, 0.5, np.float32)
  for level in (1, 2):
    changed = np.asarray(perturb.radial_gradient(KEY, flat, masks, level=level))
    ratio = changed[5][masks[5]] / 0.5 - 1
    assert ratio.max() == pytest.approx(0.1 * level, rel=0.05)
    assert ratio.min() == pytest.approx(-0.1 * level, rel=0.05)


@pytest.mark.parametrize(
  ('contrast', 'grey', 'white'),
  [('t1', 0.5, 0.8), ('t2', 0.8, 0.5), ('flair', 0.8, 0.5)],
)
def test_invention_raises_grey_and_lowers_white(random, contrast, grey, white):
  tissue = np.repeat([0.0, 0.3, 0.5, 0.8], [300, 100, 300, 324]).reshape(32, 32)
  image = np.float32(tissue + 0.01 * random.random((32, 32)))[None]
  changed = np.asarray(
    perturb.mode_invention(KEY, image, level=0.1, contrast=contrast, smooth=0.1)
  )
  difference = (changed - image)[0]
  assert difference[tissue == grey].mean() > difference[tissue == white].mean()
  assert changed.max() == pytest.approx(image.max(), abs=1e-6)
  assert changed.min() == pytest.approx(image.min(), abs=1e-6)


def test_bands_of_invention_can_be_given(random):
  image = np.float32(random.random((1, 16, 16)))
  given, usual = (
    perturb.mode_invention(KEY, image, level=0.1, contrast='t1', **bands)
    for bands in ({'grey': (65.0, 97.0), 'white': (35.0, 65.0)}, {})
  )
  swapped = perturb.mode_invention(KEY, image, level=0.1, contrast='t2')
  np.testing.assert_allclose(given, swapped, atol=1e-6)
  assert np.abs(np.asarray(given) - usual).max() > 0.01


@pytest.mark.parametrize('level', [5, 45])
def test_external_duplication(level):
  base, train = np.arange(200), np.arange(1000, 1300)
  found = perturb.external_duplication(KEY, base, train, level=level)
  copied = found >= 1000
  assert copied.sum() == 2 * level
  assert len(np.unique(found)) == 200
  np.testing.assert_array_equal(found[~copied], base[~copied])


def test_duplications_are_nested_in_level():
  base, train = np.arange(100), np.arange(100, 300)
  few, many = (
    perturb.external_duplication(KEY, base, train, level=level) >= 100
    for level in (15, 30)
  )
  assert (few & ~many).sum() == 0


@pytest.mark.parametrize('level', [5, 45, 80])
def test_internal_duplication(level):
  base = np.arange(1000, 1100)
  found = perturb.internal_duplication(KEY, base, level=level)
  assert set(found) <= set(base)
  assert len(np.unique(found)) == 100 - level
  assert len(found) == 100


@pytest.mark.parametrize(('level', 'shares'), [(1, (50, 50)), (2, (17, 83))])
def test_mode_collapse(level, shares):
  classes = np.repeat(['b', 'a', 'c'], [90, 89, 40])
  found = perturb.mode_collapse(KEY, np.arange(219), classes, 100, level=level)
  assert len(np.unique(found)) == 100
  names, counts = np.unique(classes[found], return_counts=True)
  assert dict(zip(names, counts, strict=True)) == dict(
    zip('ba', shares, strict=True)
  )


@pytest.mark.parametrize('level', [10, 90])
def test_density_shift(level):
  scanners = np.repeat(['B', 'A'], [100, 100])
  found = perturb.density_shift(KEY, np.arange(200), scanners, 80, level=level)
  assert (scanners[found] == 'A').mean() == level / 100


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (
      lambda: perturb.mode_collapse(
        KEY, np.arange(4), np.array(list('aabb')), 2, level=1
      ),
      'needs three classes, there are 2',
    ),
    (
      lambda: perturb.density_shift(
        KEY, np.arange(4), np.array(list('aabb')), 4, level=90
      ),
      '4 images of a are needed, there are 2',
    ),
    (
      lambda: perturb.gaussian(KEY, np.zeros((4, 4), np.float32), level=0.1),
      r'\[n, h, w\] float32',
    ),
    (
      lambda: perturb.boundary_blur(
        KEY, np.zeros((1, 4, 4), np.float32), np.zeros((1, 4, 4)), level=1
      ),
      'masks are bool',
    ),
  ],
)
def test_bad_input(call, message):
  with pytest.raises(ValueError, match=message):
    call()
