"""Where images, or ready features, come from: the forms of a source."""

from collections.abc import Callable, Sequence
import csv
import dataclasses
import hashlib
from pathlib import Path, PurePosixPath

import numpy as np

from genmed_jax.data import phantom
from genmed_jax.data.decode import read_image, SUFFIXES

IMAGE_COLUMNS = ('path', 'img_savename', 'synthetic_filename', 'image')


@dataclasses.dataclass(frozen=True)
class Source:
  """A set of images, read one at a time and in a fixed order.

  Attributes:
    name: What the set is called in the results.
    ids: Which image each item is: a relative path, or a number.
    stamps: What each item's content depends on, for the feature cache: of a
      file its path in the set, size and time of change.
    labels: Column to ``[n]`` strings.
    read: Item number to ``[h, w, c]`` pixels; may raise anything on a broken
      file.
  """

  name: str
  ids: Sequence[str]
  stamps: Sequence[str]
  labels: dict[str, np.ndarray]
  read: Callable[[int], np.ndarray]

  def __len__(self) -> int:
    """How many images there are."""
    return len(self.ids)

  def digest(self, rows: range) -> str:
    """A digest of the content list of ``rows``."""
    digest = hashlib.sha256()
    for row in rows:
      digest.update(self.stamps[row].encode() + b'\0')
    return digest.hexdigest()

  def take(self, items: np.ndarray) -> 'Source':
    """The source of these items, in this order."""
    return Source(
      self.name,
      [self.ids[i] for i in items],
      [self.stamps[i] for i in items],
      {column: values[items] for column, values in self.labels.items()},
      lambda i: self.read(int(items[i])),
    )


@dataclasses.dataclass(frozen=True)
class StoredFeatures:
  """A set whose features are given, so that it skips the network.

  Attributes:
    name: What the set is called in the results.
    ids: Row numbers.
    labels: Column to ``[n]`` strings.
    features: ``[n, d]``.
    logits: ``[n, classes]`` for the Inception Score, if the file has them.
  """

  name: str
  ids: Sequence[str]
  labels: dict[str, np.ndarray]
  features: np.ndarray
  logits: np.ndarray | None

  def __len__(self) -> int:
    """How many rows there are."""
    return len(self.features)

  def take(self, items: np.ndarray) -> 'StoredFeatures':
    """The set of these rows, in this order."""
    return StoredFeatures(
      self.name,
      [self.ids[i] for i in items],
      {column: values[items] for column, values in self.labels.items()},
      self.features[items],
      None if self.logits is None else self.logits[items],
    )


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
    opened = _arrays(name or path.stem, path)
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


def _arrays(name: str, path: Path) -> Source | StoredFeatures:
  try:
    loaded = np.load(path, mmap_mode='r', allow_pickle=False)
    keys = {None: loaded} if path.suffix == '.npy' else dict(loaded)
  except (ValueError, OSError, EOFError) as error:
    raise ValueError(f'{path}: cannot be read as numpy arrays') from error
  array = keys.get(None)
  if array is None:
    array = keys.get('images', keys.get('features'))
  if array is None:
    raise ValueError(
      f'{path}: needs the key images or features; it has {", ".join(keys)}'
    )
  ids = [str(i) for i in range(len(array))]
  if array.ndim == 2:
    return StoredFeatures(
      name, ids, {}, _checked_features(path, array), keys.get('logits')
    )
  if (
    array.ndim not in (3, 4)
    or array.ndim == 4
    and array.shape[3]
    not in (
      1,
      3,
    )
  ):
    raise ValueError(
      f'{path}: images are [n, h, w] or [n, h, w, 1 or 3], features [n, d]; '
      f'this is {list(array.shape)}'
    )
  status = path.stat()
  stamp = f'{path.name} {status.st_size} {status.st_mtime_ns}'
  return _stack(name, array, stamp, {})


def _checked_features(path: Path, features: np.ndarray) -> np.ndarray:
  if not np.issubdtype(features.dtype, np.floating):
    raise ValueError(f'{path}: features must be floats, not {features.dtype}')
  if bad := int(np.sum(~np.isfinite(features).all(axis=1))):
    raise ValueError(f'{path}: {bad} rows of features are not finite')
  if features.dtype == np.float16:
    return features.astype(np.float32)
  return features


def _stack(name, images, stamp, labels) -> Source:
  """A source of the images ``[n, h, w, ...]`` of one array."""
  numbers = [str(i) for i in range(len(images))]
  return Source(
    name,
    numbers,
    [f'{stamp} {number}' for number in numbers],
    labels,
    lambda i: images[i].reshape(*images.shape[1:3], -1),
  )


def _phantom(name: str, text: str) -> Source:
  settings = phantom.parse(text)
  slices = phantom.brain_slices(settings)
  tumour = slices.mask.any(axis=(1, 2))
  labels = {'class': np.where(tumour, 'tumour', 'healthy')}
  return _stack(name, slices.images, phantom.stamp(settings), labels)
