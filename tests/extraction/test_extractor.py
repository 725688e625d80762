import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from genmed_jax import metrics, networks
from genmed_jax.data.sources import open_source
from genmed_jax.errors import DecodeError
from genmed_jax.extraction.cache import FeatureCache
from genmed_jax.extraction.extractor import Extractor


@pytest.fixture(scope='module')
def network(tmp_path_factory):
  return networks.load(
    'inception_v3_random:64', cache_dir=tmp_path_factory.mktemp('none')
  )


@pytest.fixture
def images(random):
  return random.integers(0, 255, (10, 24, 24)).astype(np.uint8)


def test_second_run_extracts_nothing(
  network, images, image_folder, tmp_path, monkeypatch
):
  source = open_source(str(image_folder('set', images)))
  first = Extractor(network, cache_dir=tmp_path, batch_size=4)(source)
  assert first.values.shape == (10, 64)
  monkeypatch.setattr(Extractor, '_fill', None)
  again = Extractor(network, cache_dir=tmp_path, batch_size=8)(source)
  np.testing.assert_array_equal(first.values, again.values)


@pytest.mark.parametrize('size', [0, 100, -4])
def test_a_damaged_cache_is_made_anew(
  network, images, image_folder, tmp_path, size
):
  source = open_source(str(image_folder('set', images)))
  extractor = Extractor(network, cache_dir=tmp_path)
  values = np.array(extractor(source).values)
  (path,) = (tmp_path / 'features').glob('*/64.npy')
  path.write_bytes(path.read_bytes()[:size])
  np.testing.assert_array_equal(extractor(source).values, values)


def test_what_features_depend_on_makes_them_anew(
  network, images, image_folder, tmp_path
):
  root = image_folder('set', images)

  def extract(network=network, **options):
    before = len(list((tmp_path / 'features').glob('*')))
    Extractor(network, cache_dir=tmp_path, **options)(open_source(str(root)))
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


def test_broken_files_end_the_run_or_are_left_out(
  network, images, image_folder, tmp_path
):
  root = image_folder('set', images)
  for name in ('003.png', '007.png'):
    path = root / name
    path.write_bytes(path.read_bytes()[:60])
  source = open_source(str(root))
  with pytest.raises(DecodeError, match=r'set: 003\.png cannot be used'):
    Extractor(network, cache_dir=tmp_path)(source)
  skipping = Extractor(network, cache_dir=tmp_path, on_error='skip')
  features = skipping(source)
  assert features.skipped == 2
  assert '003.png' not in features.ids
  np.testing.assert_array_equal(features.rows, [0, 1, 2, 4, 5, 6, 8, 9])
  # What was skipped once is not silently missing from a strict run.
  with pytest.raises(DecodeError, match=r'set: 003\.png cannot be used'):
    Extractor(network, cache_dir=tmp_path)(source)
  for name in ('003.png', '007.png'):
    (root / name).unlink()
  alone = Extractor(network, cache_dir=tmp_path)(open_source(str(root)))
  np.testing.assert_allclose(features.values, alone.values, rtol=1e-5)


def test_nothing_usable(network, image_folder, tmp_path, images):
  root = image_folder('set', images[:2])
  for path in root.iterdir():
    path.write_text('broken')
  with pytest.raises(ValueError, match='no image could be used'):
    Extractor(network, cache_dir=tmp_path, on_error='skip')(
      open_source(str(root))
    )


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


def command(source, cache_dir, output_dir, *more):
  return [
    sys.executable,
    '-m',
    'genmed_jax.evaluate',
    f'--reference={source}',
    f'--generated=generated={source}',
    '--features=inception_v3_random:64',
    f'--cache_dir={cache_dir}',
    f'--output_dir={output_dir}',
    *more,
  ]


def test_a_killed_run_resumes_to_the_same_results(tmp_path):
  source = 'phantom:brain?n=96&size=32'
  options = ('--batch_size=4', '--metrics=fd,precision')
  straight, killed = (
    command(source, tmp_path / name, tmp_path / f'{name}_out', *options)
    for name in ('straight', 'killed')
  )
  environment = os.environ | {'XLA_FLAGS': ''}
  process = subprocess.Popen(killed, env=environment, stderr=subprocess.DEVNULL)
  features = tmp_path / 'killed' / 'features'
  row = 64 * 4
  while process.poll() is None:
    if any(p.stat().st_size > 8 * row for p in features.glob('*/64.part')):
      process.send_signal(signal.SIGKILL)
      break
    time.sleep(0.005)
  assert process.wait() == -signal.SIGKILL
  assert not list((tmp_path / 'killed_out').glob('results*'))
  (part,) = features.glob('*/64.part')
  assert part.stat().st_size < 96 * row
  for arguments in (killed, straight):
    subprocess.run(arguments, env=environment, check=True, capture_output=True)
  results = [
    (tmp_path / f'{name}_out' / 'results.csv').read_text()
    for name in ('straight', 'killed')
  ]
  assert results[0] == results[1]


@pytest.fixture(scope='module')
def layouts(tmp_path_factory):
  """results.csv and per-image scores of two device counts and batch sizes."""
  root = tmp_path_factory.mktemp('layouts')
  rows = []
  for devices, batch_size in ((1, 1), (2, 7)):
    output_dir = root / f'{devices}'
    flag = f'--xla_force_host_platform_device_count={devices}'
    subprocess.run(
      command(
        'phantom:brain?n=30&size=32&seed=1',
        root / f'cache{devices}',
        output_dir,
        '--generated=noisy=phantom:brain?n=25&size=32&seed=2&noise=0.04',
        f'--batch_size={batch_size}',
        '--bootstrap=0',
        '--metrics=fd,mmd_poly,sw2,precision,coverage,realism,authpct',
      ),
      env=os.environ | {'XLA_FLAGS': flag},
      check=True,
      capture_output=True,
    )
    rows.append(
      [
        line.split(',')
        for line in (output_dir / 'results.csv').read_text().splitlines()
      ]
    )
  return rows, root


def test_results_do_not_depend_on_batch_or_devices(layouts):
  (one, two), root = layouts
  for mine, theirs in zip(one[1:], two[1:], strict=True):
    generated, metric = mine[0], mine[3]
    if generated != 'noisy':
      continue
    tolerance = 0 if metrics.METRICS[metric].per_image else 1e-5
    np.testing.assert_allclose(
      float(mine[4]), float(theirs[4]), rtol=tolerance, err_msg=metric
    )
  samples = [
    np.genfromtxt(
      Path(root / f'{devices}' / 'samples_noisy.csv'),
      delimiter=',',
      skip_header=1,
      usecols=(3, 4, 5, 6),
    )
    for devices in (1, 2)
  ]
  np.testing.assert_array_equal(*samples)
