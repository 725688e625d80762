"""Images per second: network alone, loader alone, both; beside torch-fidelity.

python -m benchmarks.features --output=benchmarks/features.jsonl

The peer runs where torch and torch-fidelity are installed, with the same
random weights on the same images, and its features are compared with ours.
"""

import itertools
from pathlib import Path
import statistics
import tempfile

from absl import app, flags
import jax
import numpy as np
from PIL import Image

from benchmarks import measure
from genmed_jax import networks
from genmed_jax.data import loader, phantom
from genmed_jax.data.formats import open_source
from genmed_jax.data.intensity import parse_intensity
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.extraction.cache import CachedExtractor
from genmed_jax.extraction.extractor import Extractor
from genmed_jax.networks.preprocess import preprocess

_NETWORK = flags.DEFINE_string('network', 'inception_v3_random', 'Which.')
_BATCH_SIZES = flags.DEFINE_list('batch_sizes', ['8', '32'], 'Images a step.')
_DTYPES = flags.DEFINE_list('dtypes', ['float32'], 'What it computes in.')
_IMAGES = flags.DEFINE_integer('images', 96, 'PNG files for the loader.')
_SIZE = flags.DEFINE_integer('size', 256, 'Side of the images.')
_PEER_BATCH = flags.DEFINE_integer('peer_batch', 32, "The peer's batch.")
_REPEATS = flags.DEFINE_integer('repeats', 10, 'Counted runs of each.')
_OUTPUT = flags.DEFINE_string('output', None, 'JSON lines are appended here.')


def main(_):
  """Measures what the flags ask for."""
  images = phantom.draw(
    phantom.Settings(n=_IMAGES.value, size=_SIZE.value)
  ).images
  rate = measure.matmul_rate('float32')
  for dtype in _DTYPES.value:
    for batch_size in map(int, _BATCH_SIZES.value):
      _network_alone(images, batch_size, dtype, rate)
  with tempfile.TemporaryDirectory() as folder:
    for i, image in enumerate(images):
      Image.fromarray(image).save(Path(folder) / f'{i:05d}.png')
    _through_the_loader(folder)


def _network_alone(images, batch_size, dtype, rate):
  network = networks.load(_NETWORK.value, cache_dir=Path('.'), dtype=dtype)
  mesh = mesh_lib.data_mesh(jax.devices()[:1])
  batch = np.resize(images, (batch_size, *images.shape[1:]))[..., None]
  sizes = np.full((batch_size, 2), images.shape[1], np.int32)
  batch, sizes = jax.device_put((batch, sizes))
  prepare = jax.jit(lambda x, s: preprocess(x, s, network.preprocess))
  lowered = jax.jit(
    network.apply, compiler_options=mesh_lib.network_options(mesh)
  ).lower(network.state, prepare(batch, sizes))
  flops = lowered.cost_analysis()['flops'] / batch_size
  apply = lowered.compile()

  def ours():
    found = apply(network.state, prepare(batch, sizes))
    return np.asarray(found['2048'])

  contenders = {'genmed_jax': ours}
  peer = _torch_fidelity(network, images) if dtype == 'float32' else None
  if peer is not None:
    contenders['torch_fidelity'] = peer
  found = measure.alternate(contenders, _REPEATS.value)
  seconds = {name: each.seconds for name, each in found.items()}
  each = statistics.median(seconds['genmed_jax']) / batch_size
  record = {
    'benchmark': 'network',
    'network': network.name,
    'dtype': dtype,
    'batch_size': batch_size,
    'size': images.shape[1],
    **measure.summary(seconds['genmed_jax']),
    'images_per_s': 1 / each,
    'gflop_per_image': flops / 1e9,
    'share_of_float32_matmul': flops / each / rate,
  }
  if peer is not None:
    theirs = statistics.median(seconds['torch_fidelity']) / _PEER_BATCH.value
    features, golden = ours(), peer()
    count = min(len(features), len(golden))
    difference = np.abs(features[:count] - golden[:count]).max()
    record |= {
      'peer': 'torch-fidelity',
      'peer_images_per_s': 1 / theirs,
      'speedup': theirs / each,
      'largest_relative_difference': float(difference / np.abs(golden).max()),
    }
  measure.write(_OUTPUT.value, record)


def _torch_fidelity(network, images):
  """The peer's network with our random weights, or None."""
  try:
    import torch
    from torch_fidelity import feature_extractor_inceptionv3 as peer
  except ImportError:
    return None
  if network.name != 'inception_v3_random':
    return None
  kernels = {
    '.'.join(path): np.asarray(leaf[...])
    for path, leaf in network.state.flat_state()
  }

  class Seeded(peer.FeatureExtractorInceptionV3):
    def load_state_dict(self, *args, **kwargs):
      for name, tensor in self.state_dict().items():
        path = name.lower().replace('.conv.weight', '.kernel')
        if path in kernels:
          kernel = kernels[path].transpose(3, 2, 0, 1).copy()
          tensor.copy_(torch.from_numpy(kernel))
        elif name.endswith('running_var'):
          tensor.fill_(1 - 1e-3)  # Which batch norm's epsilon makes one.

  peer.load_state_dict_from_url = lambda *args, **kwargs: None
  extractor = Seeded('seeded', ['2048'])
  batch = np.resize(images, (_PEER_BATCH.value, *images.shape[1:]))
  batch = torch.from_numpy(np.repeat(batch[:, None], 3, axis=1))

  def run():
    with torch.no_grad():
      return extractor(batch)[0].numpy()

  return run


def _through_the_loader(folder):
  network = networks.load(_NETWORK.value, cache_dir=Path('.'))
  source = open_source(folder)
  everything = np.arange(len(source))
  intensity = parse_intensity('dtype')

  def load():
    stream = loader.batches(source, range(len(source)), 8, intensity, workers=4)
    return sum(batch.count for batch in stream)

  alone = measure.alternate({'loader': load}, _REPEATS.value)['loader'].seconds
  with tempfile.TemporaryDirectory() as cache_dir:
    extractor = CachedExtractor(Extractor(network), Path(cache_dir))
    orders = itertools.count()

    def extract():
      # In an order of its own a set is new to the cache.
      return extractor(source.take(np.roll(everything, next(orders)))).values

    both = measure.alternate({'both': extract}, 3)['both'].seconds
  measure.write(
    _OUTPUT.value,
    {
      'benchmark': 'loader',
      'network': network.name,
      'size': _SIZE.value,
      'images': len(source),
      'loader_images_per_s': len(source) / statistics.median(alone),
      'end_to_end_images_per_s': len(source) / statistics.median(both),
    },
  )


if __name__ == '__main__':
  app.run(main)
