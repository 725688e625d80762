"""Perturbed sets as sources of images, drawn block by block on the device."""

import collections
from collections.abc import Callable, Mapping
import dataclasses
import threading
import types
from typing import Any
import zlib

import jax
import numpy as np

from genmed_jax import perturb
from genmed_jax.data import versions
from genmed_jax.data.intensity import as_float, parse_intensity
from genmed_jax.data.source import Source
from genmed_jax.perturb.base import ActsOn, Needs
from genmed_jax.study.clock import Clock
from genmed_jax.study.conditions import Condition
from genmed_jax.study.design import Roles, StudyConfig

_BLOCK = 32
_KEPT = 3  # Blocks, while the threads of a loader read on.


def changes_images(condition: Condition) -> bool:
  """Whether a condition alters images, rather than which are in the set."""
  return perturb.FAMILIES[condition.family].acts_on is not ActsOn.SET


def composed(
  source: Source,
  config: StudyConfig,
  condition: Condition,
  roles: Roles,
  seed: int,
) -> np.ndarray:
  """The items of a set under a condition that composes it of real images.

  Raises:
    UsageError: if there are too few of a class or a scanner.
  """
  family = perturb.FAMILIES[condition.family]
  key = _family_key(family.name, seed)
  level = condition.level
  if family.needs is Needs.TRAIN:
    return family.operator(key, roles.base, roles.train, level=level)
  if family.needs is None:
    return family.operator(key, roles.base, level=level)
  labels = source.labels[config.column(family.needs)][roles.pool]
  return family.operator(key, roles.pool, labels, len(roles.base), level=level)


def perturbed(
  source: Source,
  items: np.ndarray,
  condition: Condition,
  seed: int,
  clock: Clock,
  constants: Mapping[str, Mapping[str, Any]] = types.MappingProxyType({}),
) -> Source:
  """The images ``items`` of a greyscale source under a perturbation.

  The draws for an image depend on the seed, the family and the image's
  place in the source alone: the levels of a family scale the same noise.

  Args:
    source: From :func:`greyscale`.
    items: ``[n]``.
    condition: One that changes images.
    seed: Of the draw.
    clock: Counts the time, which overlaps with that of the network.
    constants: Of the operator of each family.
  """
  name, level = condition
  family, options = perturb.FAMILIES[name], constants.get(name, {})
  base = source.take(items)
  keys = perturb.image_keys(_family_key(name, seed), items.astype(np.uint32))

  def compute(rows: np.ndarray) -> np.ndarray:
    # The last block is filled up, so that one program serves all.
    full = np.resize(rows, _BLOCK)
    images = [base.read(i)[:, :, 0] for i in full]
    if len(sizes := {image.shape for image in images}) > 1:
      raise ValueError(f'a study takes images of one size, not {sorted(sizes)}')
    inputs = [np.stack(images)]
    if family.acts_on is ActsOn.REGION:
      inputs.append(np.stack([base.read_mask(i) for i in full]))
    with clock.on('perturbation'):
      changed = family.operator(
        keys[full], *inputs, level=np.float32(level), **options
      )
      return np.asarray(changed)[: len(rows)]

  blocks = _Blocks(len(items), compute)
  return dataclasses.replace(
    base,
    name=f'{name} {level:g}',
    stamp=lambda i: (
      f'{base.stamp(i)} {versions.PERTURBATIONS} {name} {level} {seed} '
      f'{items[i]} {options}'
    ),
    read=lambda i: blocks.row(i)[:, :, None],
  )


def _family_key(family: str, seed: int) -> jax.Array:
  """The key of a family's draws, which depends on its name and the seed."""
  return jax.random.fold_in(jax.random.key(seed), zlib.crc32(family.encode()))


def greyscale(source: Source, config: StudyConfig) -> Source:
  """The source as ``[h, w, 1]`` float32 images in [0, 1].

  Its ``read`` raises ValueError for images in colour.
  """
  to_unit = parse_intensity(config.intensity)

  def read(i: int) -> np.ndarray:
    image = to_unit(source.read(i))
    if (image != image[:, :, :1]).any():
      raise ValueError('it is in colour, and perturbations are of greyscale')
    return as_float(image[:, :, :1])

  return dataclasses.replace(
    source, stamp=lambda i: f'{source.stamp(i)} {config.intensity}', read=read
  )


class _Blocks:
  """Rows that are computed many at a time, when the first is asked for."""

  def __init__(self, count: int, compute: Callable[[np.ndarray], np.ndarray]):
    self._count = count
    self._compute = compute
    self._kept = collections.OrderedDict()
    self._lock = threading.Lock()

  def row(self, i: int) -> np.ndarray:
    start = i // _BLOCK * _BLOCK
    with self._lock:
      if start not in self._kept:
        rows = np.arange(start, min(start + _BLOCK, self._count))
        self._kept[start] = self._compute(rows)
        if len(self._kept) > _KEPT:
          self._kept.popitem(last=False)
      return self._kept[start][i - start]
