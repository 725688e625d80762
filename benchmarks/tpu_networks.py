"""Networks as programs for a mesh, and the work that their programs show."""

from collections.abc import Callable
import functools
import math
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from benchmarks.tpu_shapes import Shapes
from benchmarks.tpu_work import Work
from genmed_jax.downstream import dice_predictor, segmentation
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.platforms import platform_of
from genmed_jax.networks import registry
from genmed_jax.networks.preprocess import preprocess
from genmed_jax.training.batches import network_input

_CANVAS = 256  # Side of the images that are resized.


class Network(NamedTuple):
  """A program of a batch.

  Attributes:
    name: Of the network.
    shapes: In words.
    lower: To the lowered program.
  """

  name: str
  shapes: str
  lower: Callable


def programs(mesh: Mesh) -> list[Network]:
  """Every network by every tap, as ``Extractor`` compiles them."""
  found = [
    _inception(mesh, taps, dtype)
    for taps, dtype in (
      (('64',), 'float32'),
      (('192',), 'float32'),
      (('768',), 'float32'),
      (('spatial', '2048', 'logits'), 'float32'),
      (('spatial', '2048', 'logits'), 'bfloat16'),
    )
  ]
  inception = registry.NETWORKS['inception_v3'].preprocess
  return [
    *found,
    _preprocess(mesh, inception),
    _preprocess(mesh, inception._replace(resize='clean')),
    _segmenter(mesh),
    _dice_predictor(mesh),
  ]


def _lower(mesh: Mesh, function, whole: tuple, *batches) -> Callable:
  specs = *(mesh_lib.REPLICATED,) * len(whole), *(mesh_lib.ROWS,) * len(batches)
  sharded = jax.shard_map(
    function, mesh=mesh, in_specs=specs, out_specs=mesh_lib.ROWS
  )
  return lambda: jax.jit(
    sharded, compiler_options=mesh_lib.network_options(mesh)
  ).lower(*whole, *batches)


def _batch(mesh: Mesh, *shape, dtype=jnp.float32) -> jax.ShapeDtypeStruct:
  s = Shapes(mesh)
  count = platform_of(mesh).images * mesh.devices.size
  sharding = s.over(1).sharding
  return jax.ShapeDtypeStruct((count, *shape), dtype, sharding=sharding)


def _everywhere(mesh: Mesh, tree):
  return jax.tree.map(
    lambda leaf: Shapes(mesh).whole(*leaf.shape, dtype=leaf.dtype), tree
  )


def _words(batch: jax.ShapeDtypeStruct) -> str:
  return ' x '.join(map(str, batch.shape))


def _inception(mesh: Mesh, taps: tuple[str, ...], dtype: str) -> Network:
  graph, state = registry.abstract_network('inception_v3', taps, dtype)
  side = registry.NETWORKS['inception_v3'].preprocess.size
  images = _batch(mesh, side, side, 3)
  apply = functools.partial(registry._apply, graph)
  return Network(
    f'inception_v3:{"+".join(taps)}, {dtype}',
    _words(images),
    _lower(mesh, apply, (_everywhere(mesh, state),), images),
  )


def _preprocess(mesh: Mesh, config) -> Network:
  images = _batch(mesh, _CANVAS, _CANVAS, 1, dtype=jnp.uint8)
  sizes = _batch(mesh, 2, dtype=jnp.int32)
  function = functools.partial(preprocess, config=config)
  return Network(
    f'preprocess, {config.resize}',
    f'{_words(images)} to {config.size}',
    _lower(mesh, function, (), images, sizes),
  )


def _segmenter(mesh: Mesh) -> Network:
  config = segmentation.SegmenterConfig()
  network = segmentation.segmenter(config)
  side = network_input(config.size).size
  images = _batch(mesh, side, side, config.channels)
  weights = _everywhere(mesh, network.init(0))
  return Network(
    'segmenter U-Net', _words(images), _lower(mesh, network, (weights,), images)
  )


def _dice_predictor(mesh: Mesh) -> Network:
  config = dice_predictor.PredictorConfig()
  network = dice_predictor.predictor(config)
  images = _batch(mesh, config.size, config.size, config.channels)
  masks = _batch(mesh, config.size, config.size, dtype=bool)
  weights = _everywhere(mesh, network.init(0))
  predict = functools.partial(dice_predictor.predicted_dice, network, config)
  return Network(
    'dice predictor',
    _words(images),
    _lower(mesh, predict, (weights,), images, masks),
  )


class Product(NamedTuple):
  """A product or convolution that a lowered program holds.

  Attributes:
    dtype: Of its operands.
    highest: Whether it keeps the digits of float32 on every device.
    flops: Of one call on a chip.
    size: Bytes of operands and result.
    is_of_matrices: Whether neither operand is a vector.
  """

  dtype: str
  highest: bool
  flops: float
  size: float
  is_of_matrices: bool


_PRODUCT = re.compile(
  r'stablehlo\.(dot_general|convolution).*: '
  r'\(tensor<(\S+)>, tensor<(\S+)>\) -> tensor<(\S+)>'
)
_BATCHED = re.compile(r'batching_dims = \[([\d, ]*)\]')
_BYTES = {'f32': 4, 'f64': 8, 'bf16': 2}


def products(text: str) -> list[Product]:
  """Products in a lowered program, each once whatever loop it is in."""
  found = []
  for line in text.splitlines():
    match = _PRODUCT.search(line)
    if not match:
      continue
    kind, *types = match.groups()
    shapes = [[*map(int, t.split('x')[:-1])] for t in types]
    dtype = types[0].split('x')[-1]
    one, other, result = map(math.prod, shapes)
    if kind == 'convolution':
      flops = 2 * result * other / shapes[1][-1]
      matrices = True
    else:
      batched = _BATCHED.search(line)
      axes = batched.group(1).split(', ') if batched else []
      shared = math.prod(shapes[0][int(axis)] for axis in axes)
      # Of [b, m, k] and [b, k, n]: the sizes' product is (m n k)² b³.
      flops = 2 * math.sqrt(one * other * result / shared)
      matrices = min(len(shape) - len(axes) for shape in shapes[:2]) > 1
    size = (one + other) * _BYTES[dtype] + result * _BYTES[
      types[2].split('x')[-1]
    ]
    found.append(Product(dtype, 'HIGHEST' in line, flops, size, matrices))
  return found


def work_of(found: list[Product]) -> Work:
  """Work of a program without loops; every product meets memory."""
  total = Work(memory=sum(p.size for p in found))
  for p in found:
    passes = 'float32' if p.dtype == 'f32' and p.highest else 'bfloat16'
    total += Work(**{passes: p.flops})
  return total
