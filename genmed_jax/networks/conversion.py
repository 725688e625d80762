"""Conversion of published weights to the form the package reads."""

import os
from pathlib import Path
import tempfile
import urllib.request

from genmed_jax import __version__
from genmed_jax.engine.progress import progress
from genmed_jax.errors import RunError, UsageError
from genmed_jax.networks import weights
from genmed_jax.networks.registry import (
  leaves_of,
  NETWORKS,
  parse,
)


def convert(name: str, source: Path, cache_dir: Path) -> Path:
  """Converts ``source`` to the weights of ``NETWORK[:TAP]``.

  Args:
    name: The network, with a tap to convert only the layers up to it.
    source: Upstream's file.
    cache_dir: The result goes under ``weights/`` in it.

  Returns:
    The folder written: an orbax checkpoint and ``manifest.json``.

  Raises:
    UsageError: if the network is unknown or has no weights to convert, or
      with everything in the file that does not fit.
    FileNotFoundError: if there is no such file.
  """
  network, tap = parse(name)
  architecture = NETWORKS[network]
  if architecture.upstream is None:
    raise UsageError(f'{network} has seeded weights: nothing to convert')
  if not source.is_file():
    raise FileNotFoundError(f'`source={str(source)!r}`: no such file')
  tensors = architecture.prepare(weights.read_tensors(source))
  deepest = tap if ':' in name else architecture.taps[-1]
  reached = architecture.taps[: architecture.taps.index(deepest) + 1]
  taps = tuple(
    t for t in reached if architecture.optional.get(t) in (None, *tensors)
  )
  try:
    leaves = weights.fill_leaves(
      tensors,
      leaves_of(network, taps),
      leaves_of(network, architecture.taps),
      architecture.rules,
    )
  except UsageError as error:
    raise UsageError(f'{source.name} is not {name}: {error}') from error
  path = weights.folder(cache_dir, name)
  sha256 = weights.sha256_of(source)
  weights.save(
    path,
    leaves,
    {
      'network': network,
      'taps': list(taps),
      'source': source.name,
      'sha256': sha256,
      'licence': architecture.upstream.licence,
      'upstream': architecture.upstream.url,
      'is_upstream_file': sha256 == architecture.upstream.sha256,
      'preprocess': architecture.preprocess._asdict(),
      'converted_by': f'genmed_jax {__version__}',
    },
  )
  return path


def download(name: str, folder: Path) -> Path:
  """Fetches the published file of a network, and checks its hash.

  A file that is there already is not fetched again.

  Raises:
    UsageError: if the network has no published weights.
    RunError: if what came is not the published file; nothing is kept.
  """
  network, _ = parse(name)
  upstream = NETWORKS[network].upstream
  if upstream is None:
    raise UsageError(f'{network} has seeded weights: nothing to download')
  path = folder / upstream.file
  if path.exists() and weights.sha256_of(path) == upstream.sha256:
    return path
  folder.mkdir(parents=True, exist_ok=True)
  with (
    urllib.request.urlopen(upstream.url) as response,
    tempfile.TemporaryDirectory(dir=folder) as scratch,
    open(Path(scratch) / upstream.file, 'wb') as file,
    progress(
      desc=upstream.file,
      total=int(response.headers.get('Content-Length') or 0) or None,
      unit='B',
      unit_scale=True,
    ) as bar,
  ):
    while block := response.read(1 << 20):
      file.write(block)
      bar.update(len(block))
    file.flush()
    if (found := weights.sha256_of(Path(file.name))) != upstream.sha256:
      raise RunError(
        f'{upstream.url} gave a file with sha256 {found}, not {upstream.sha256}'
      )
    os.replace(file.name, path)
  return path
