import concurrent.futures

import jax
import numpy as np
import pytest

from genmed_jax import perturb
from genmed_jax.data.formats import arrays
from genmed_jax.study import perturbed
from genmed_jax.study.clock import Clock
from genmed_jax.study.conditions import Condition
from genmed_jax.study.design import StudyConfig


@pytest.fixture
def source(random):
  images = random.integers(0, 255, (70, 12, 14)).astype(np.uint8)
  masks = np.zeros(images.shape, bool)
  masks[:, 3:9, 3:9] = True
  stack = arrays.stack('set', images, 'stamp {}'.format, {}, masks)
  return perturbed.greyscale(stack, StudyConfig(reference='set'))


@pytest.mark.parametrize('name', ['gaussian', 'radial_gradient'])
def test_blocks_equal_the_operator_on_all(source, name):
  items = np.arange(3, 68)
  level = perturb.FAMILIES[name].levels[1]
  condition = Condition(name, level)
  altered = perturbed.perturbed(source, items, condition, 5, Clock())
  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    read = np.stack(list(pool.map(altered.read, range(len(items)))))
  inputs = [np.stack([source.read(i)[:, :, 0] for i in items])]
  if name == 'radial_gradient':
    inputs.append(np.stack([source.read_mask(i) for i in items]))
  keys = perturb.image_keys(
    perturbed._family_key(name, 5), items.astype(np.uint32)
  )
  expected = perturb.FAMILIES[name].operator(keys, *inputs, level=level)
  np.testing.assert_allclose(read[..., 0], expected, atol=1e-6)


def test_what_an_image_depends_on_is_in_its_stamp(source):
  items = np.arange(4)

  def digest(name='gaussian', level=0.1, seed=0):
    condition = Condition(name, level)
    altered = perturbed.perturbed(source, items, condition, seed, Clock())
    return altered.digest(range(4))

  others = digest('rician'), digest(level=0.2), digest(seed=1)
  assert len({digest(), *others}) == 4
  assert digest() == digest()


def test_draws_depend_on_the_name_of_a_family_and_not_on_its_place(monkeypatch):
  key = jax.random.key_data(perturbed._family_key('gaussian', 5))
  np.testing.assert_array_equal(key, [1518412599, 3222959891])
  others = {n: f for n, f in perturb.FAMILIES.items() if n != 'rician'}
  before = jax.random.key_data(perturbed._family_key('poisson', 0))
  monkeypatch.setattr(perturb, 'FAMILIES', others)
  after = jax.random.key_data(perturbed._family_key('poisson', 0))
  np.testing.assert_array_equal(after, before)


def test_greyscale(random):
  images = random.integers(0, 255, (2, 4, 4)).astype(np.uint8)
  grey = arrays.stack('set', images, 'stamp {}'.format, {})
  same = arrays.stack(
    'set', np.repeat(images[..., None], 3, 3), 'stamp {}'.format, {}
  )
  for source in (grey, same):
    read = perturbed.greyscale(source, StudyConfig(reference='')).read(1)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read[:, :, 0], images[1] / 255, rtol=1e-6)
  colour = np.repeat(images[..., None], 3, 3)
  colour[1, 0, 0, 1] ^= 7
  source = arrays.stack('set', colour, 'stamp {}'.format, {})
  with pytest.raises(ValueError, match='in colour'):
    perturbed.greyscale(source, StudyConfig(reference='')).read(1)


def test_images_of_two_sizes_are_refused(source):
  cut = lambda i: source.read(i)[: 12 - i % 2]  # noqa: E731
  mixed = perturbed.Source(
    'set', source.ids, source.numbers, source.stamp, {}, cut
  )
  altered = perturbed.perturbed(
    mixed, np.arange(8), Condition('gaussian', 0.1), 0, Clock()
  )
  with pytest.raises(ValueError, match=r'one size, not \[\(11, 14\), \(12'):
    altered.read(0)
