"""Weights on disk: from upstream's tensors to ours, strictly, and back.

A converted network is a folder with an orbax checkpoint of its leaves, under
their dotted paths, and a ``manifest.json`` that says what they are and where
they came from.
"""

from collections.abc import Iterable
import hashlib
import json
import os
from pathlib import Path
import re
import shutil
import tempfile
from typing import NamedTuple

import jax
import numpy as np

from genmed_jax.errors import UsageError

_TRANSFORMS = {
  'same': lambda tensor: tensor,
  'conv': lambda tensor: tensor.transpose(2, 3, 1, 0),  # OIHW -> HWIO
  'linear': lambda tensor: tensor.T,
}


# What leaves of these names start from; others are kernels.
_CONSTANT = {
  'bias': 0.0,
  'mean': 0.0,
  'scale': 1.0,
  'var': 1.0,
  'modulation': 0.0,  # A condition changes nothing at first.
}


class Rule(NamedTuple):
  """Upstream keys that match ``pattern`` become ``target``, lower case.

  ``target`` is None for keys that are known and not used; ``transform`` names
  one of: ``same``, ``conv`` (OIHW to HWIO), ``linear`` (transposed).
  """

  pattern: str
  target: str | None
  transform: str = 'same'


def read_tensors(source: Path) -> dict[str, np.ndarray]:
  """Reads a torch state dict, a safetensors file or an npz.

  Raises:
    UsageError: if the file is none of these. Torch files are read with
      ``weights_only=True``: a file that would run code is refused.
  """
  suffix = source.suffix.lower()
  if suffix not in _READERS:
    raise UsageError(
      f'{source.name}: weights are read from {", ".join(_READERS)} files'
    )
  try:
    return _READERS[suffix](source)
  except ImportError as error:
    raise UsageError(
      f'{suffix} files need the package {error.name}: '
      "pip install 'genmed_jax[convert]'"
    ) from error
  except Exception as error:  # Each library has exceptions of its own.
    reason = str(error).partition('\n')[0]
    raise UsageError(f'{source.name} cannot be read: {reason}') from error


def _read_npz(source: Path) -> dict[str, np.ndarray]:
  with np.load(source, allow_pickle=False) as archive:
    return dict(archive)


def _read_safetensors(source: Path) -> dict[str, np.ndarray]:
  from safetensors.numpy import load_file

  return load_file(source)


def _read_torch(source: Path) -> dict[str, np.ndarray]:
  import torch

  loaded = torch.load(source, map_location='cpu', weights_only=True)
  loaded = loaded.get('state_dict', loaded)
  return {key: tensor.numpy() for key, tensor in loaded.items()}


_READERS = {
  '.npz': _read_npz,
  '.safetensors': _read_safetensors,
  '.pth': _read_torch,
  '.pt': _read_torch,
  '.th': _read_torch,
}


def fold_batch_norm(
  tensors: dict[str, np.ndarray], *, epsilon: float
) -> dict[str, np.ndarray]:
  r"""Folds every ``P.conv`` + ``P.bn`` pair into ``P.weight`` and ``P.bias``.

  .. math:: w' = w s, \quad b' = \beta - \mu s, \quad
    s = \gamma / \sqrt{\sigma^2 + \epsilon}

  in float64, rounded once. Tensors without batch norm pass unchanged.

  Raises:
    UsageError: if a pair is incomplete.
  """
  folded = dict(tensors)
  for key in tensors:
    if not key.endswith('.conv.weight'):
      continue
    name = key.removesuffix('.conv.weight')
    norm = {}
    for part in ('weight', 'bias', 'running_mean', 'running_var'):
      if f'{name}.bn.{part}' not in tensors:
        raise UsageError(f'{name}.conv has no {name}.bn.{part} beside it')
      norm[part] = folded.pop(f'{name}.bn.{part}').astype(np.float64)
    shapes = {(len(tensors[key]),), *(each.shape for each in norm.values())}
    if len(shapes) > 1 or tensors[key].ndim != 4:
      raise UsageError(f'{name}.conv and {name}.bn are not of one shape')
    folded.pop(f'{name}.bn.num_batches_tracked', None)
    scale = norm['weight'] / np.sqrt(norm['running_var'] + epsilon)
    weight = folded.pop(key) * scale[:, None, None, None]
    folded[f'{name}.weight'] = weight.astype(np.float32)
    bias = norm['bias'] - norm['running_mean'] * scale
    folded[f'{name}.bias'] = bias.astype(np.float32)
  return folded


def fill_leaves(
  tensors: dict[str, np.ndarray],
  wanted: dict[str, tuple[int, ...]],
  known: Iterable[str],
  rules: Iterable[Rule],
) -> dict[str, np.ndarray]:
  """Fills every leaf of a network from upstream's tensors, or says why not.

  Args:
    tensors: Upstream key to array.
    wanted: Path of each leaf to fill, and its shape.
    known: Paths of the whole network's leaves: a tensor for one that is not
      wanted lies beyond the tap and is passed over.
    rules: Upstream keys to paths.

  Returns:
    Path to float32 array, for all of ``wanted``.

  Raises:
    UsageError: with the complaints together: keys no rule explains, shapes
      that differ, values that are not finite, leaves left empty.
  """
  leaves, complaints, known = {}, [], set(known)
  for key, tensor in tensors.items():
    rule = next((r for r in rules if re.fullmatch(r.pattern, key)), None)
    path = None
    if rule and rule.target:
      path = re.sub(rule.pattern, rule.target, key).lower()
    if rule is None or (path is not None and path not in known):
      complaints.append(f'{key}: not a tensor of this network')
    elif path in wanted:
      leaf = np.ascontiguousarray(
        _TRANSFORMS[rule.transform](tensor), np.float32
      )
      if leaf.shape != tuple(wanted[path]):
        complaints.append(
          f'{key}: {leaf.shape} where {path} is {tuple(wanted[path])}'
        )
      elif not np.isfinite(leaf).all():
        complaints.append(f'{key}: not finite')
      leaves[path] = leaf
  complaints += [f'{path}: no tensor' for path in wanted if path not in leaves]
  if complaints:
    more = [f'and {len(complaints) - 9} more'] if len(complaints) > 9 else []
    raise UsageError(
      f'{len(complaints)} tensors do not fit: '
      + '; '.join(complaints[:9] + more)
    )
  return leaves


def random_leaves(
  shapes: dict[str, tuple[int, ...]], seed: int = 0
) -> dict[str, np.ndarray]:
  """He-normal kernels, zero biases and unit scales, the same everywhere.

  Each leaf has a stream of its own, so a shallower network has the weights
  of a deeper one.

  Args:
    shapes: Of each leaf, by its dotted path.
    seed: Of all of them.
  """
  leaves = {}
  for path, shape in shapes.items():
    kind = path.rpartition('.')[2]
    if kind in _CONSTANT:
      leaves[path] = np.full(shape, _CONSTANT[kind], np.float32)
      continue
    stream = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8])
    random = np.random.default_rng([seed, stream])
    scale = np.float32(np.sqrt(2 / np.prod(shape[:-1])))
    leaves[path] = random.standard_normal(shape, np.float32) * scale
  return leaves


def fingerprint(leaves: dict[str, np.ndarray]) -> str:
  """SHA-256 of the leaves' paths, shapes and bytes."""
  digest = hashlib.sha256()
  for path in sorted(leaves):
    leaf = np.ascontiguousarray(leaves[path])
    digest.update(f'{path}{leaf.shape}{leaf.dtype}'.encode())
    digest.update(leaf.data)
  return digest.hexdigest()


def sha256_of(path: Path) -> str:
  """SHA-256 of a file."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def home() -> Path:
  """The folder of converted weights, and of caches, unless another is named."""
  chosen = os.environ.get('GENMED_JAX_HOME')
  return Path(chosen) if chosen else Path.home() / '.cache' / 'genmed_jax'


def folder(cache_dir: Path, name: str) -> Path:
  """The folder of the converted weights of ``NETWORK[:TAP]``."""
  return cache_dir / 'weights' / name.replace(':', '-')


def save(path: Path, leaves: dict[str, np.ndarray], manifest: dict) -> None:
  """Writes a network, on this process alone; an older one is replaced."""
  import orbax.checkpoint as ocp

  path.parent.mkdir(parents=True, exist_ok=True)
  here = jax.process_index()
  alone = ocp.options.MultiprocessingOptions(here, active_processes={here})
  with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
    new = Path(scratch) / 'new'
    with ocp.StandardCheckpointer(
      multiprocessing_options=alone
    ) as checkpointer:
      checkpointer.save(new.absolute() / 'leaves', leaves)
    # It names the folder, and with it perhaps a person.
    (new / 'leaves' / 'commit_success.txt').unlink(missing_ok=True)
    (new / 'manifest.json').write_text(json.dumps(manifest, indent=2) + '\n')
    if path.exists():
      shutil.move(path, Path(scratch) / 'old')
    os.replace(new, path)


def load(path: Path) -> tuple[dict[str, np.ndarray], dict]:
  """Leaves and manifest of a network, on every process.

  Raises:
    UsageError: if the manifest is broken.
  """
  import orbax.checkpoint as ocp

  described = path / 'manifest.json'
  try:
    manifest = json.loads(described.read_text())
  except ValueError as error:
    raise UsageError(f'{described} is broken: make the network anew') from error
  with ocp.PyTreeCheckpointer() as checkpointer:
    leaves = checkpointer.restore(path.absolute() / 'leaves')
  return {key: np.asarray(leaf) for key, leaf in leaves.items()}, manifest
