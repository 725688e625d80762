"""Four CPU devices for every test, and fixtures that many share."""

import os
from pathlib import Path

from tests import alone

# Read when jax starts, so before anything that computes.
os.environ['XLA_FLAGS'] = ' '.join(
  [
    os.environ.get('XLA_FLAGS', ''),
    alone.XLA_FLAGS,
    '--xla_force_host_platform_device_count=4',
  ]
)
os.environ['JAX_PLATFORMS'] = 'cpu'

import jax  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
import pytest  # noqa: E402

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.metrics import splits


@pytest.fixture(scope='session', autouse=True)
def programs(tmp_path_factory, worker_id):
  """Shares compiled programs between the processes of a test run."""
  folder = tmp_path_factory.getbasetemp()
  if worker_id != 'master':
    folder = folder.parent
  settings = {
    'jax_compilation_cache_dir': str(folder / 'programs'),
    'jax_persistent_cache_min_compile_time_secs': 0.0,
  }
  for name, value in settings.items():
    jax.config.update(name, value)
    os.environ[name.upper()] = str(value)


@pytest.fixture(scope='module', autouse=True)
def memory():
  """Drops programs before all those of a suite come to gigabytes."""
  yield
  pages = int(Path('/proc/self/statm').read_text().split()[1])
  if pages * os.sysconf('SC_PAGE_SIZE') > 1.2e9:
    jax.clear_caches()


@pytest.fixture(scope='session', autouse=True)
def few_splits():
  """Scores parts of sets as seldom as :mod:`tests.alone` says."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(splits, 'SPLITS', alone.SPLITS)
    yield


@pytest.fixture(params=[1, 4], ids='{}dev'.format)
def mesh(request):
  return mesh_lib.data_mesh(jax.devices()[: request.param])


@pytest.fixture
def image_folder(tmp_path):
  """Makes a folder of greyscale PNGs out of ``[n, h, w]`` uint8."""

  def make(name, images, classes=('',)):
    root = tmp_path / name
    for i, image in enumerate(images):
      folder = root / classes[i % len(classes)]
      folder.mkdir(parents=True, exist_ok=True)
      Image.fromarray(image).save(folder / f'{i:03d}.png')
    return root

  return make


@pytest.fixture
def random():
  return np.random.default_rng(0)


@pytest.fixture
def compiled():
  """Grows by a name with every program that is compiled, or read."""
  seen = []

  def listen(event, seconds, fun_name=None, **_):
    if event == '/jax/core/compile/backend_compile_duration':
      seen.append(fun_name)

  jax.monitoring.register_event_duration_secs_listener(listen)
  yield seen
  jax.monitoring.unregister_event_duration_listener(listen)
