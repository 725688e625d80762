"""CSV manifests of image files."""

import csv
import os
from pathlib import Path

import numpy as np

from genmed_jax.data.formats.files import files_source
from genmed_jax.data.source import path_of, Source
from genmed_jax.errors import UsageError

IMAGE_COLUMNS = ('path', 'img_savename', 'synthetic_filename', 'image')


def open_manifest(
  name: str, path: Path, root: str | None, column: str | None
) -> Source:
  """The images that a CSV lists; every other column is a label.

  Args:
    name: Name of the set.
    path: The CSV.
    root: Folder that paths are relative to; the CSV's own if None.
    column: Column of the paths; the first of :data:`IMAGE_COLUMNS` if None.

  Raises:
    UsageError: if the file, a column or a path cannot be used.
  """
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
      f'{path}: no column {wanted} (`image_column`); it has '
      f'{", ".join(columns) or "none"}'
    )
  folder = path_of(root) if root else path.parent
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
  return files_source(name, folder, ids, labels, masks)
