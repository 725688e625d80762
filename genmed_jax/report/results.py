"""What a run leaves behind: rows, tables, provenance; written atomically."""

from collections.abc import Iterable, Sequence
import csv
import dataclasses
import importlib.metadata
import io
import json
import os
from pathlib import Path
import re
import tempfile
from typing import NamedTuple

import jax

from genmed_jax import __version__

PACKAGES = ('jax', 'jaxlib', 'flax', 'numpy', 'scipy', 'pillow')


class Row(NamedTuple):
  """One metric of one comparison; None where undefined."""

  generated: str
  features: str
  group: str
  metric: str
  value: float | None
  std_error: float | None
  ci_low: float | None
  ci_high: float | None
  floor: float | None
  direction: str
  n_reference: int
  n_generated: int
  note: tuple[str, ...]


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
      f'--output_dir={output_dir} cannot be written: {error.strerror}'
    ) from error


def write(output_dir: Path, files: dict[str, str]) -> None:
  """Writes the files of a finished run in the place of an earlier one's.

  Each is there whole or not at all, and the last of ``files`` only when all
  are.
  """
  for name, text in files.items():
    write_file(output_dir / name, text)


def file_stem(name: str) -> str:
  """A name in letters that file systems take."""
  return re.sub(r'[^\w.-]+', '_', name)


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


def csv_text(header: Sequence[str], rows: Iterable[Sequence]) -> str:
  """A CSV; None becomes an empty cell, floats keep every digit."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(header)
  writer.writerows(rows)
  return text.getvalue()


def results_csv(rows: list[Row]) -> str:
  """The text of ``results.csv``."""
  return csv_text(
    Row._fields, [row._replace(note='; '.join(row.note)) for row in rows]
  )


def results_json(rows: list[Row], provenance: dict) -> str:
  """The text of ``results.json``."""
  report = {
    'provenance': provenance,
    'results': [row._asdict() for row in rows],
  }
  return json.dumps(report, indent=2, allow_nan=False) + '\n'


def flag_file(config, *, repeated: tuple[str, ...] = ()) -> str:
  """A flag file that repeats a run.

  Args:
    config: A dataclass of flags.
    repeated: Those that are given once per value.
  """
  lines = []
  for name, value in dataclasses.asdict(config).items():
    if name in repeated:
      lines += [f'--{name}={each}' for each in value]
    elif isinstance(value, tuple):
      lines.append(f'--{name}={",".join(value)}')
    elif value is not None:
      lines.append(f'--{name}={value}')
  return '\n'.join(lines) + '\n'


def environment() -> dict:
  """Versions and devices, for the provenance."""
  return {
    'versions': {'genmed_jax': __version__}
    | {name: importlib.metadata.version(name) for name in PACKAGES},
    'devices': [d.device_kind for d in jax.devices()],
    'processes': jax.process_count(),
  }


def table(rows: list[Row]) -> str:
  """The rows as a table to read: a line a metric, a column a set."""
  sets = list(dict.fromkeys(row.generated for row in rows))
  cells = {}
  for row in rows:
    line = cells.setdefault((row.features, row.group, row.metric), {})
    line[row.generated] = row
  header = ['features', 'group', 'metric', 'better', *sets, 'floor']
  lines = [header]
  for (features, group, metric), line in cells.items():
    first = next(iter(line.values()))
    values = [_cell(line.get(name)) for name in sets]
    lines.append(
      [features, group, metric, first.direction, *values, _number(first.floor)]
    )
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  lines.insert(1, ['-' * width for width in widths])
  text = '\n'.join(
    '  '.join(cell.ljust(w) for cell, w in zip(line, widths, strict=True))
    for line in lines
  )
  notes = {}
  for row in rows:
    for note in row.note:
      notes.setdefault(note, {}).setdefault(row.generated, []).append(
        row.metric
      )
  explained = (
    note
    + ': '
    + '; '.join(
      f'{" ".join(dict.fromkeys(names))} of {generated}'
      for generated, names in by_set.items()
    )
    for note, by_set in notes.items()
  )
  return '\n'.join([text, '', *explained])


def _cell(row: Row | None) -> str:
  if row is None or row.value is None:
    return '-'
  if row.std_error is None:
    return _number(row.value)
  return f'{_number(row.value)} ± {_number(row.std_error, 2)}'


def _number(value: float | None, digits: int = 4) -> str:
  return '-' if value is None else f'{value:.{digits}g}'
