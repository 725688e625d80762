import numpy as np
import pytest

from genmed_jax import networks
from genmed_jax.data.formats import open_source
from genmed_jax.extraction.cache import CachedExtractor, FeatureCache
from genmed_jax.extraction.extractor import Extractor


def test_second_run_extracts_nothing(network, source, tmp_path, monkeypatch):
  first = CachedExtractor(Extractor(network, batch_size=4), tmp_path)(source)
  assert first.values.shape == (10, 64)
  monkeypatch.setattr(Extractor, 'batches', None)
  again = CachedExtractor(Extractor(network, batch_size=8), tmp_path)(source)
  np.testing.assert_array_equal(first.values, again.values)


def test_images_in_memory_are_found_again(
  network, images, tmp_path, monkeypatch
):
  extract = CachedExtractor(Extractor(network), tmp_path)
  first = extract(open_source(images, name='first'))
  monkeypatch.setattr(Extractor, 'batches', None)
  again = extract(open_source(images.copy(), name='second'))
  np.testing.assert_array_equal(first.values, again.values)
  assert again.name == 'second'


@pytest.mark.parametrize('size', [0, 100, -4])
def test_a_damaged_cache_is_made_anew(network, source, tmp_path, size):
  extract = CachedExtractor(Extractor(network), tmp_path)
  values = np.array(extract(source).values)
  (path,) = (tmp_path / 'features').glob('*/64.npy')
  path.write_bytes(path.read_bytes()[:size])
  np.testing.assert_array_equal(extract(source).values, values)


def test_what_features_depend_on_makes_them_anew(
  network, images, image_folder, tmp_path
):
  root = image_folder('set', images)

  def extract(network=network, **options):
    before = len(list((tmp_path / 'features').glob('*')))
    extractor = CachedExtractor(Extractor(network, **options), tmp_path)
    extractor(open_source(str(root)))
    return len(list((tmp_path / 'features').glob('*'))) - before

  assert extract() == 1
  assert extract(batch_size=4) == 0
  assert extract(intensity='minmax') == 1
  clean = networks.load(
    'inception_v3_random:64', cache_dir=tmp_path, resize='clean'
  )
  assert extract(clean) == 1
  (root / '000.png').unlink()
  assert extract() == 1


@pytest.mark.parametrize('stop', [0, 3, 4, 7, 9])
def test_cache_resumes_at_a_whole_batch(tmp_path, stop):
  rows = np.random.default_rng(0).random((10, 3)).astype(np.float32)
  flags = np.arange(10) % 2 == 0
  outputs = {'tap': (3, 'float32'), 'decoded': (0, 'bool')}
  cache = FeatureCache(tmp_path / 'key', 10, outputs)

  class Killed(Exception):
    pass

  def fill(until):
    with cache.locked(), cache.writer(4) as (done, append):
      for i in range(done, until):
        append({'tap': rows[i : i + 1], 'decoded': flags[i : i + 1]})
      if until < 10:
        raise Killed
      return done

  with pytest.raises(Killed):
    fill(stop)
  part = tmp_path / 'key' / 'tap.part'
  part.write_bytes(part.read_bytes() + b'torn')  # A row cut short.
  assert not cache.is_complete()
  assert fill(10) == stop // 4 * 4
  assert cache.is_complete()
  np.testing.assert_array_equal(cache.load()['tap'], rows)
  np.testing.assert_array_equal(cache.load()['decoded'], flags)


@pytest.mark.parametrize('stop', [0, 1, 2])
def test_an_extraction_that_was_cut_off_goes_on(
  network, source, tmp_path, monkeypatch, stop
):
  extractor = Extractor(network, batch_size=4)
  extract = CachedExtractor(extractor, tmp_path)
  batches, starts = extractor.batches, []

  def cut_off(source, rows, done=0, **options):
    starts.append(done)
    for number, batch in enumerate(batches(source, rows, done, **options)):
      if number == stop and len(starts) == 1:
        raise KeyboardInterrupt
      yield batch

  monkeypatch.setattr(extractor, 'batches', cut_off)
  with pytest.raises(KeyboardInterrupt):
    extract(source)
  resumed = extract(source)
  assert starts == [0, 4 * stop]
  np.testing.assert_array_equal(resumed.values, extractor(source).values)
