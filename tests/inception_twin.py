"""A random-weight twin of the FID InceptionV3 in torch, and its inputs.

The tensors come from numpy, so that tests make the same ones without torch.
Run as a script (with torch and torch-fidelity installed) it writes the goldens
that those tests compare with.
"""

from pathlib import Path

import numpy as np
from PIL import Image

GOLDENS = Path(__file__).parent / 'goldens' / 'inception_v3.npz'
TAPS = ('64', '192', 'spatial', '768', '2048', 'logits')


def random_images() -> np.ndarray:
  """Two smooth RGB images with noise, ``[2, 96, 140, 3]`` uint8."""
  random = np.random.default_rng(7)
  y, x = np.mgrid[:96, :140] / 96
  waves = random.normal(0, 5, (2, 3, 2))
  images = np.sin(waves[..., 0, None, None] * x + waves[..., 1, None, None] * y)
  images = images + 0.2 * random.standard_normal(images.shape)
  images = np.round(np.clip(128 + 90 * images, 0, 255)).astype(np.uint8)
  return images.transpose(0, 2, 3, 1)


def random_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
  """An upstream state dict with random batch-norm statistics too."""
  state = {}
  for seed, (key, shape) in enumerate(sorted(shapes.items())):
    random = np.random.default_rng(seed)
    if key.endswith(('running_var', 'bn.weight')):
      state[key] = random.uniform(0.5, 1.5, shape).astype(np.float32)
    elif key.endswith('num_batches_tracked'):
      state[key] = np.zeros(shape, np.int64)
    elif len(shape) <= 1:
      state[key] = random.normal(0, 0.2, shape).astype(np.float32)
    else:
      scale = np.sqrt(2 / np.prod(shape[1:]))
      state[key] = (scale * random.standard_normal(shape, np.float32)).astype(
        np.float32
      )
  return state


def upstream_shapes() -> dict[str, tuple[int, ...]]:
  """Keys and shapes of the published state dict, read off our own leaves."""
  from genmed_jax.networks import registry

  shapes = {'fc.weight': (1008, 2048), 'fc.bias': (1008,)}
  taps = registry.NETWORKS['inception_v3'].taps
  for path, shape in registry.leaves_of('inception_v3', taps).items():
    stage, *rest = path.split('.')
    if rest[-1] != 'kernel' or stage in ('fc', 'spatial'):
      continue
    name = '.'.join([stage.capitalize(), *rest[:-1]])
    height, width, inputs, outputs = shape
    shapes[f'{name}.conv.weight'] = (outputs, inputs, height, width)
    for part in ('weight', 'bias', 'running_mean', 'running_var'):
      shapes[f'{name}.bn.{part}'] = (outputs,)
    shapes[f'{name}.bn.num_batches_tracked'] = ()
  return shapes


def torch_features(
  images: np.ndarray, resize: str, state: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """Every tap by torch-fidelity's modules."""
  import torch
  from torch_fidelity import feature_extractor_inceptionv3 as peer
  from torch_fidelity.interpolate_compat_tensorflow import (
    interpolate_bilinear_2d_like_tensorflow1x as interpolate,
  )

  class Twin(peer.FeatureExtractorInceptionV3):
    def load_state_dict(self, loaded, **kwargs):
      del loaded
      tensors = {k: torch.from_numpy(v.copy()) for k, v in state.items()}
      return super().load_state_dict(tensors, **kwargs)

  peer.load_state_dict_from_url = lambda *args, **kwargs: None
  network = Twin('twin', ['2048'])
  seen = {}

  def keep(name, function):
    def hook(module, inputs, output):
      del module, inputs
      seen[name] = function(output)

    return hook

  mean = lambda x: x.mean((2, 3))  # noqa: E731
  network.MaxPool_1.register_forward_hook(keep('64', mean))
  network.MaxPool_2.register_forward_hook(keep('192', mean))
  network.Mixed_6e.register_forward_hook(keep('768', mean))
  network.Mixed_6d.branch1x1.conv.register_forward_hook(
    keep('spatial', lambda x: x[:, :7].permute(0, 2, 3, 1).flatten(1))
  )
  pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float()
  if resize == 'tf1':
    pixels = interpolate(pixels, size=(299, 299), align_corners=False)
  else:
    pixels = torch.from_numpy(_clean_resize(images))
  with torch.no_grad():
    x = (pixels - 128) / 128
    for name, module in network.named_children():
      if name not in ('AvgPool', 'fc'):
        x = module(x)
    seen['2048'] = mean(x)
    seen['logits'] = seen['2048'] @ network.fc.weight.T
  return {tap: seen[tap].numpy() for tap in TAPS}


def _clean_resize(images: np.ndarray) -> np.ndarray:
  """clean-fid's: bicubic by Pillow in floating point, a channel at a time."""
  resized = [
    [
      np.asarray(
        Image.fromarray(channel.astype(np.float32)).resize(
          (299, 299), Image.Resampling.BICUBIC
        )
      ).clip(0, 255)
      for channel in image.transpose(2, 0, 1)
    ]
    for image in images
  ]
  return np.array(resized, np.float32)


if __name__ == '__main__':
  state = random_state(upstream_shapes())
  np.savez_compressed(
    GOLDENS,
    **{
      f'{resize}_{tap}': values
      for resize in ('tf1', 'clean')
      for tap, values in torch_features(random_images(), resize, state).items()
    },
  )
