"""The forms in which images and features are given."""

import os
from pathlib import Path
import re
from typing import Any

import numpy as np

from genmed_jax.data.features import Features
from genmed_jax.data.formats import arrays
from genmed_jax.data.formats.folder import open_folder
from genmed_jax.data.formats.manifest import IMAGE_COLUMNS, open_manifest
from genmed_jax.data.formats.phantoms import open_phantoms, PREFIX
from genmed_jax.data.source import path_of, Source
from genmed_jax.errors import UsageError

__all__ = ['FORMS', 'IMAGE_COLUMNS', 'open_source', 'split_name']

FORMS = (
  'a folder of images, a .csv manifest, a .npz or .npy of images or features, '
  'or phantom:NAME?key=value'
)


def open_source(
  given: Any,
  *,
  name: str | None = None,
  root: str | None = None,
  image_column: str | None = None,
  limit: int | None = None,
  seed: int = 0,
  at_least: int = 2,
) -> Source | Features:
  """Opens a set of images, or of features.

  Args:
    given: ``[NAME=]SOURCE``, where SOURCE is one of :data:`FORMS`; or an array
      of images ``[n, h, w]`` or ``[n, h, w, c]``, or of features ``[n, d]``.
    name: Name of the set; what is given says if None.
    root: Folder a manifest's paths are relative to; its own if None.
    image_column: The manifest's column of paths; found by name if None.
    limit: Keep that many, drawn with ``seed`` and left in order.
    seed: Of the draw.
    at_least: Smallest number of images.

  Raises:
    UsageError: naming what is wrong with the source and what is accepted.
  """
  if isinstance(given, str | os.PathLike):
    opened = _open_text(os.fspath(given), name, root, image_column)
  else:
    opened = arrays.open_array(name or 'array', given)
  if len(opened) < at_least:
    raise UsageError(
      f'{opened.name}: needs at least {at_least} images, has {len(opened)}'
    )
  if limit is not None and limit < len(opened):
    random = np.random.default_rng(seed)
    items = random.choice(len(opened), limit, replace=False)
    return opened.take(np.sort(items))
  return opened


def _open_text(
  text: str, name: str | None, root: str | None, image_column: str | None
) -> Source | Features:
  given_name, source = split_name(text)
  name = name or given_name
  path = path_of(source)
  if source.startswith(PREFIX):
    return open_phantoms(name or source, source)
  if not source or not path.exists():
    raise UsageError(f'{source!r}: no such file or folder; a source is {FORMS}')
  if path.is_dir():
    return open_folder(name or path.resolve().name, path)
  if path.suffix == '.csv':
    return open_manifest(name or path.stem, path, root, image_column)
  if path.suffix in arrays.SUFFIXES:
    return arrays.open_file(name or path.stem, path)
  raise UsageError(
    f'{source}: a source file is a .csv manifest or a .npz or .npy array'
  )


def split_name(text: str) -> tuple[str | None, str]:
  """The name in front of a source, if there is one, and the source."""
  name, equals, source = text.partition('=')
  if equals and re.fullmatch(r'[^/\\:?]+', name) and not Path(text).exists():
    return name, source
  return None, text
