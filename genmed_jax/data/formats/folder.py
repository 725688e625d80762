"""Folders of image files."""

import os
from pathlib import Path, PurePosixPath

import numpy as np

from genmed_jax.data.decode import SUFFIXES
from genmed_jax.data.formats.files import files_source
from genmed_jax.data.source import Source
from genmed_jax.errors import UsageError


def open_folder(name: str, root: Path) -> Source:
  """The images below a folder, sorted by relative path.

  The first sub-folder is the class; ``NAME_mask.EXT`` is the region of
  interest of ``NAME.EXT``.

  Raises:
    UsageError: if there are none.
  """
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
  return files_source(name, root, ids, classes, masks if any(masks) else None)


def _masks_beside(ids: list[str]) -> dict[str, str]:
  """Image to its mask, where ``NAME_mask.EXT`` lies beside ``NAME.EXT``."""
  by_stem = {str(PurePosixPath(item).with_suffix('')): item for item in ids}
  return {
    item: by_stem[f'{stem}_mask']
    for stem, item in by_stem.items()
    if f'{stem}_mask' in by_stem
  }
