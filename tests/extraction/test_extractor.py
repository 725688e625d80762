import csv
import signal
import subprocess
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genmed_jax.command import entry, evaluate
from genmed_jax.data.formats import open_source
from genmed_jax.errors import DecodeError
from genmed_jax.extraction.cache import CachedExtractor
from genmed_jax.extraction.extractor import Extractor
from tests import alone

# Metrics of scores of single images, which come out the same to the bit.
OF_IMAGES = ('precision', 'coverage', 'realism', 'authpct')


@pytest.fixture(params=[False, True], ids=['in memory', 'on disk'])
def extractor_of(request, network, tmp_path):
  """Makes an extractor that keeps features on disk, or one that does not."""

  def make(**options):
    extractor = Extractor(network, **options)
    if request.param:
      return CachedExtractor(extractor, tmp_path / 'cache')
    return extractor

  return make


def assert_same(one, other):
  """Two sets of features are the same to the bit."""
  assert one.name == other.name
  assert one.ids == other.ids
  assert one.skipped == other.skipped
  np.testing.assert_array_equal(one.numbers, other.numbers)
  for mine, theirs in (
    ({'values': one.values}, {'values': other.values}),
    (one.outputs, other.outputs),
    (one.labels, other.labels),
  ):
    assert mine.keys() == theirs.keys()
    for key, array in mine.items():
      assert array.dtype == theirs[key].dtype
      np.testing.assert_array_equal(array, theirs[key])


def test_features_are_those_of_the_cache_and_nothing_is_written(
  network, images, image_folder, tmp_path, monkeypatch
):
  work, home = tmp_path / 'work', tmp_path / 'home'
  work.mkdir()
  monkeypatch.chdir(work)
  monkeypatch.setenv('GENMED_JAX_HOME', str(home))
  root = image_folder('set', images, classes=('a', 'b'))
  (root / 'a' / '004.png').write_text('broken')
  source = open_source(str(root))
  extractor = Extractor(network, batch_size=4, on_error='skip')
  before = sorted(tmp_path.rglob('*'))
  found = extractor(source)
  assert sorted(tmp_path.rglob('*')) == before
  assert found.values.shape == (9, 64)
  assert list(found.labels['class']) == ['a'] * 4 + ['b'] * 5
  cached = CachedExtractor(extractor, tmp_path / 'cache')
  for _ in range(2):
    assert_same(cached(source), found)
  assert (tmp_path / 'cache' / 'features').is_dir()


def test_broken_files_end_the_run_or_are_left_out(
  extractor_of, images, image_folder
):
  root = image_folder('set', images)
  for name in ('003.png', '007.png'):
    path = root / name
    path.write_bytes(path.read_bytes()[:60])
  source = open_source(str(root))
  with pytest.raises(DecodeError, match=r'set: 003\.png cannot be used'):
    extractor_of()(source)
  features = extractor_of(on_error='skip')(source)
  assert features.skipped == 2
  assert '003.png' not in features.ids
  np.testing.assert_array_equal(features.numbers, [0, 1, 2, 4, 5, 6, 8, 9])
  # What was skipped once is not silently missing from a strict run.
  with pytest.raises(DecodeError, match=r'set: 003\.png cannot be used'):
    extractor_of()(source)
  for name in ('003.png', '007.png'):
    (root / name).unlink()
  alone = extractor_of()(open_source(str(root)))
  np.testing.assert_allclose(features.values, alone.values, rtol=1e-5)


def test_nothing_usable(extractor_of, image_folder, images):
  root = image_folder('set', images[:2])
  for path in root.iterdir():
    path.write_text('broken')
  with pytest.raises(ValueError, match='no image could be used'):
    extractor_of(on_error='skip')(open_source(str(root)))


def test_an_output_may_be_the_feature_vector_too(network, source):
  apply = network.apply
  network = network._replace(
    tap='logits',
    taps=('logits',),
    apply=lambda state, images: {'logits': apply(state, images)['64']},
  )
  features = Extractor(network)(source)
  np.testing.assert_array_equal(features.outputs['logits'], features.values)


def test_the_resolution_is_how_far_features_move_with_their_slot(
  extractor_of, source
):
  extractor = extractor_of(batch_size=4)
  apply = extractor.network.apply

  def moving(state, images):
    slots = 1e-3 * jnp.arange(len(images))[:, None]
    return {name: v + slots for name, v in apply(state, images).items()}

  inner = getattr(extractor, '_extractor', extractor)
  inner._apply = jax.jit(moving)
  features = extractor(source)
  width = features.values.shape[1]
  np.testing.assert_allclose(features.moved, 2e-3 * width**0.5, rtol=1e-2)
  np.testing.assert_allclose(features.resolution, 8 * features.moved)


def test_a_process_without_a_share_has_no_rows(
  extractor_of, source, monkeypatch
):
  extract = extractor_of()
  whole = extract(source)
  monkeypatch.setattr(jax, 'process_count', lambda: 16)
  monkeypatch.setattr(jax, 'process_index', lambda: 0)
  share = extract(source)
  assert len(share) == share.skipped == 0
  assert share.values.shape == (0, 64)
  assert share.values.dtype == whole.values.dtype
  assert share.outputs.keys() == whole.outputs.keys()
  assert share.ids == list(share.numbers) == []


def flags(source, cache_dir, output_dir, *more):
  return [
    f'--reference={source}',
    f'--generated=generated={source}',
    '--features=inception_v3_random:64',
    f'--cache_dir={cache_dir}',
    f'--output_dir={output_dir}',
    *more,
  ]


def test_a_killed_run_resumes_to_the_same_results(tmp_path):
  source = 'phantom:brain?n=64&size=32'
  options = ('--batch_size=4', '--metrics=fd,precision')
  straight, killed = (
    alone.arguments('genmed_jax.evaluate')
    + flags(source, tmp_path / name, tmp_path / f'{name}_out', *options)
    for name in ('straight', 'killed')
  )
  environment = alone.environment()
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
  assert part.stat().st_size < 64 * row
  for arguments in (killed, straight):
    subprocess.run(arguments, env=environment, check=True, capture_output=True)
  results = [
    (tmp_path / f'{name}_out' / 'results.csv').read_text()
    for name in ('straight', 'killed')
  ]
  assert results[0] == results[1]


def test_results_do_not_depend_on_batch_or_devices(tmp_path):
  source = 'phantom:brain?n=30&size=32&seed=1'
  here, there = (
    flags(
      source,
      tmp_path / f'{name}_cache',
      tmp_path / name,
      '--generated=noisy=phantom:brain?n=25&size=32&seed=2&noise=0.04',
      f'--batch_size={batch_size}',
      '--bootstrap=0',
      '--metrics=fd,mmd_poly,sw2,precision,coverage,realism,authpct',
    )
    for name, batch_size in (('here', 7), ('there', 1))
  )
  entry.run(evaluate.COMMAND, here)  # On four devices.
  subprocess.run(
    alone.arguments('genmed_jax.evaluate') + there,
    env=alone.environment(),
    check=True,
    capture_output=True,
  )
  one, two = (
    (tmp_path / name / 'results.csv').read_text().splitlines()
    for name in ('here', 'there')
  )
  for mine, theirs in zip(
    csv.DictReader(one), csv.DictReader(two), strict=True
  ):
    if mine['generated'] != 'noisy':
      continue
    tolerance = 1e-6 if mine['metric'] in OF_IMAGES else 1e-5
    np.testing.assert_allclose(
      float(mine['value']),
      float(theirs['value']),
      rtol=tolerance,
      err_msg=mine['metric'],
    )
  samples = [
    np.genfromtxt(
      tmp_path / name / 'samples_noisy.csv',
      delimiter=',',
      skip_header=1,
      usecols=(3, 4, 5, 6, 7),
    )
    for name in ('here', 'there')
  ]
  np.testing.assert_allclose(*samples, rtol=1e-5)
