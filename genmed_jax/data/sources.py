"""Where images, or ready features, come from: the forms of a source."""

import csv
from pathlib import Path, PurePosixPath

import numpy as np

from genmed_jax.data import arrays, phantom
from genmed_jax.data.decode import read_image, SUFFIXES
from genmed_jax.data.source import Source, StoredFeatures

IMAGE_COLUMNS = ('path', 'img_savename', 'synthetic_filename', 'image')


def open_source(
  text: str,
  *,
  root: str | None = None,
  image_column: str | None = None,
  limit: int | None = None,
  seed: int = 0,
) -> Source | StoredFeatures:
  """Opens ``[NAME=]SOURCE``.

  Args:
    text: A folder, a ``.csv`` manifest, a ``.npz`` or ``.npy`` file, or
      ``phantom:...``; in front of it, with ``=``, the name to give the set.
    root: Folder a manifest's paths are relative to; its own if None.
    image_column: The manifest's column of paths; found by name if None.
    limit: Keep that many, drawn with ``seed`` and left in order.
    seed: Of the draw.

  Raises:
    ValueError: naming what is wrong with the source and what is accepted.
  """
  name, source = _split_name(text)
  path = Path(source)
  if source.startswith('phantom:'):
    opened = _phantom(name or source, source)
  elif path.is_dir():
    opened = _folder(name or path.resolve().name, path)
  elif not path.exists():
    raise ValueError(
      f'{source}: no such file or folder; a source is a folder of images, a '
      '.csv manifest, a .npz or .npy file, or phantom:NAME?key=value'
    )
  elif path.suffix == '.csv':
    opened = _manifest(name or path.stem, path, root, image_column)
  elif path.suffix in ('.npz', '.npy'):
    opened = arrays.open_arrays(name or path.stem, path)
  else:
    raise ValueError(
      f'{source}: a source file is a .csv manifest or a .npz or .npy array'
    )
  if len(opened) < 2:
    raise ValueError(f'{source}: needs at least two images, has {len(opened)}')
  if limit is not None and limit < len(opened):
    random = np.random.default_rng(seed)
    items = random.choice(len(opened), limit, replace=False)
    return opened.take(np.sort(items))
  return opened


def _split_name(text: str) -> tuple[str | None, str]:
  name, equals, source = text.partition('=')
  if equals and name.replace('-', '_').replace('.', '_').isidentifier():
    return name, source
  return None, text


def _folder(name: str, root: Path) -> Source:
  files = (p for p in root.rglob('*') if p.suffix.lower() in SUFFIXES)
  ids = sorted(p.relative_to(root).as_posix() for p in files if p.is_file())
  if not ids:
    raise ValueError(
      f'{root}: no images below it ({" ".join(SUFFIXES)} are read)'
    )
  parents = [PurePosixPath(i).parts[:-1] for i in ids]
  labels = np.array([parts[0] if parts else '' for parts in parents])
  classes = {'class': labels} if any(labels) else {}
  return _files(name, root, ids, classes)


def _files(name, root, ids, labels) -> Source:
  """A source of files under ``root``; every one must be there."""
  stamps = []
  for item in ids:
    try:
      status = (root / item).stat()
    except OSError as error:
      raise ValueError(f'{name}: {item} is not in {root}') from error
    stamps.append(f'{item} {status.st_size} {status.st_mtime_ns}')
  return Source(name, ids, stamps, labels, lambda i: read_image(root / ids[i]))


def _manifest(
  name: str, path: Path, root: str | None, column: str | None
) -> Source:
  with open(path, newline='', encoding='utf-8-sig') as file:
    reader = csv.DictReader(file, restval='')
    rows, columns = list(reader), list(reader.fieldnames or [])
  if column is None:
    column = next((c for c in IMAGE_COLUMNS if c in columns), None)
  if column not in columns:
    wanted = column or f'one of {", ".join(IMAGE_COLUMNS)}'
    raise ValueError(
      f'{path}: no column {wanted} (--image_column); it has '
      f'{", ".join(columns) or "none"}'
    )
  folder = Path(root) if root else path.parent
  resolved = folder.resolve()
  for row in rows:
    if not (resolved / row[column]).resolve().is_relative_to(resolved):
      raise ValueError(f'{path}: {row[column]} leaves its root {folder}')
  labels = {
    c: np.array([row[c] for row in rows]) for c in columns if c != column
  }
  return _files(name, folder, [row[column] for row in rows], labels)


def _phantom(name: str, text: str) -> Source:
  settings = phantom.parse(text)
  slices = phantom.brain_slices(settings)
  tumour = slices.mask.any(axis=(1, 2))
  labels = {'class': np.where(tumour, 'tumour', 'healthy')}
  return arrays.stack(name, slices.images, phantom.stamp(settings), labels)
