"""Files that are there whole or not at all."""

from collections.abc import Iterable, Mapping, Sequence
import csv
import io
import os
from pathlib import Path
import re
import tempfile


def check_writable(output_dir: Path) -> None:
  """Makes the folder and proves that a file can be written there.

  Raises:
    OSError: naming the folder, before any work is done.
  """
  try:
    output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=output_dir):
      pass
  except OSError as error:
    raise OSError(
      f'{output_dir} cannot be written: {error.strerror}'
    ) from error


def write(output_dir: Path, files: Mapping[str, str | bytes]) -> None:
  """Writes the files of a finished run in the place of an earlier one's.

  The last of ``files`` is written only when all others are.
  """
  for name, text in files.items():
    write_file(output_dir / name, text)


def write_file(path: Path, content: str | bytes) -> None:
  """Writes a file that is there whole or not at all."""
  if isinstance(content, str):
    content = content.encode('utf-8', errors='surrogateescape')
  scratch = path.with_name(f'.{path.name}.{os.getpid()}')
  try:
    scratch.write_bytes(content)
    os.replace(scratch, path)
  except BaseException:
    scratch.unlink(missing_ok=True)
    raise


def file_stem(name: str) -> str:
  """A name in letters that file systems take."""
  return re.sub(r'[^\w.-]+', '_', name)


def csv_text(header: Sequence[str], rows: Iterable[Sequence]) -> str:
  """A CSV; None becomes an empty cell, floats keep every digit."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(header)
  writer.writerows(rows)
  return text.getvalue()
