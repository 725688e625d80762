"""The forms a source can take, and how each is opened."""

import csv
import os
from pathlib import Path, PurePosixPath
import re

import numpy as np

from genmed_jax.data import phantom
from genmed_jax.data.decode import read_image, SUFFIXES
from genmed_jax.data.formats import arrays
from genmed_jax.data.source import file_stamp, Source, StoredFeatures
from genmed_jax.errors import UsageError

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
    UsageError: naming what is wrong with the source and what is accepted.
  """
  name, source = _split_name(text)
  path = Path(source).expanduser()
  if source.startswith('phantom:'):
    opened = _phantom(name or source, source)
  elif not source or not path.exists():
    raise UsageError(
      f'{source!r}: no such file or folder; a source is a folder of images, a '
      '.csv manifest, a .npz or .npy file, or phantom:NAME?key=value'
    )
  elif path.is_dir():
    opened = _folder(name or path.resolve().name, path)
  elif path.suffix == '.csv':
    opened = _manifest(name or path.stem, path, root, image_column)
  elif path.suffix in ('.npz', '.npy'):
    opened = arrays.open_arrays(name or path.stem, path)
  else:
    raise UsageError(
      f'{source}: a source file is a .csv manifest or a .npz or .npy array'
    )
  if len(opened) < 2:
    raise UsageError(f'{source}: needs at least two images, has {len(opened)}')
  if limit is not None and limit < len(opened):
    random = np.random.default_rng(seed)
    items = random.choice(len(opened), limit, replace=False)
    return opened.take(np.sort(items))
  return opened


def _split_name(text: str) -> tuple[str | None, str]:
  name, equals, source = text.partition('=')
  if equals and re.fullmatch(r'[^/\\:?]+', name) and not Path(text).exists():
    return name, source
  return None, text


def _folder(name: str, root: Path) -> Source:
  ids = []
  seen = set()
  for folder, folders, files in os.walk(root, followlinks=True):
    real = os.path.realpath(folder)
    if real in seen:  # A link back up.
      folders.clear()
      continue
    seen.add(real)
    ids += [
      (Path(folder) / file).relative_to(root).as_posix()
      for file in files
      if Path(file).suffix.lower() in SUFFIXES
    ]
  if not ids:
    raise UsageError(
      f'{root}: no images below it ({" ".join(SUFFIXES)} are read)'
    )
  masks = _masks_beside(ids)
  ids = sorted(set(ids) - set(masks.values()))
  parents = [PurePosixPath(i).parts[:-1] for i in ids]
  labels = np.array([parts[0] if parts else '' for parts in parents])
  classes = {'class': labels} if any(labels) else {}
  masks = [masks.get(item, '') for item in ids]
  return _files(name, root, ids, classes, masks if any(masks) else None)


def _masks_beside(ids: list[str]) -> dict[str, str]:
  """Image to its mask, where ``NAME_mask.EXT`` lies beside ``NAME.EXT``."""
  by_stem = {str(PurePosixPath(item).with_suffix('')): item for item in ids}
  return {
    item: by_stem[f'{stem}_mask']
    for stem, item in by_stem.items()
    if f'{stem}_mask' in by_stem
  }


def _files(name, root, ids, labels, masks=None) -> Source:
  """A source of files under ``root``; every one must be there."""
  stamps = []
  for item in ids:
    path = root / item
    if not path.is_file():
      raise UsageError(f'{name}: {item!r} is not a file in {root}')
    stamps.append(f'{item} {file_stamp(path)}')
  numbers = np.arange(len(ids))
  read = lambda i: read_image(root / ids[i])  # noqa: E731
  read_mask = masks and (lambda i: _read_mask(root, ids[i], masks[i]))
  return Source(name, ids, numbers, stamps, labels, read, read_mask)


def _read_mask(root: Path, item: str, mask: str) -> np.ndarray:
  """What is not black in the mask; nothing where there is no mask."""
  if not mask:
    return np.zeros(read_image(root / item).shape[:2], bool)
  return (read_image(root / mask) > 0).any(axis=2)


def _manifest(
  name: str, path: Path, root: str | None, column: str | None
) -> Source:
  try:
    with open(path, newline='', encoding='utf-8-sig') as file:
      reader = csv.DictReader(file, restval='')
      rows, columns = list(reader), list(reader.fieldnames or [])
  except (csv.Error, UnicodeError) as error:
    raise UsageError(f'{path}: not a CSV in UTF-8: {error}') from error
  if repeated := next((c for c in columns if columns.count(c) > 1), None):
    raise UsageError(f'{path}: two columns are called {repeated!r}')
  if column is None:
    column = next((c for c in IMAGE_COLUMNS if c in columns), None)
  if column not in columns:
    wanted = column or f'one of {", ".join(IMAGE_COLUMNS)}'
    raise UsageError(
      f'{path}: no column {wanted} (--image_column); it has '
      f'{", ".join(columns) or "none"}'
    )
  folder = Path(root).expanduser() if root else path.parent
  ids = [row[column] for row in rows]
  masks = [row['mask'] for row in rows] if 'mask' in columns else None
  for item in ids + (masks or []):
    # As written: links inside the root may lead where they like.
    inside = os.path.normpath(item)
    if os.path.isabs(item) or inside.split(os.sep)[0] == os.pardir:
      raise UsageError(f'{path}: {item} leaves its root {folder}')
  labels = {
    c: np.array([row[c] for row in rows]) for c in columns if c != column
  }
  return _files(name, folder, ids, labels, masks)


def _phantom(name: str, text: str) -> Source:
  settings = phantom.parse(text)
  drawn = phantom.draw(settings)
  labels = {'class': drawn.kind, 'scanner': drawn.scanner}
  stamp = phantom.stamp(settings)
  return arrays.stack(name, drawn.images, stamp, labels, drawn.mask)
