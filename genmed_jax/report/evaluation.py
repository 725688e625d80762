"""The result of an evaluation: its rows, and the files they are saved in."""

import dataclasses
import functools
import json
import os
from pathlib import Path
from typing import Any

from genmed_jax.report import files, tables
from genmed_jax.report.results import OVERALL, Result, samples_file
from genmed_jax.statistics import agreement


@dataclasses.dataclass(frozen=True, repr=False)
class Evaluation:
  """Scores of generated sets against real images.

  Printed, it is a table: a line a metric, a column a set.

  Attributes:
    rows: A :class:`Result` per generated set, features, group and metric.
    samples: Generated set to a line per image, column to value.
    provenance: Versions, devices, options and weights.
    flag_file: Flags that repeat the run; None if arrays were given to it.
    failures: A line for every metric that has a bug.
  """

  rows: list[Result]
  samples: dict[str, list[dict]]
  provenance: dict
  flag_file: str | None
  failures: list[str] = dataclasses.field(default_factory=list)

  def __str__(self) -> str:
    """The table, and the notes on it."""
    return tables.text(self.rows)

  __repr__ = __str__

  def _repr_html_(self) -> str:
    return tables.html(self.rows)

  @functools.cached_property
  def agreement(self) -> agreement.Findings | None:
    """Agreement of every metric with ``predicted_dice``, if that was scored."""
    scores = {}
    for row in self.rows:
      if row.group == OVERALL and row.value is not None:
        ends = row.ci_low, row.ci_high
        low, high = (row.value if end is None else end for end in ends)
        of_sets = scores.setdefault((row.features, row.metric), {})
        of_sets[row.generated] = agreement.Scored(
          row.value, low, high, row.direction
        )
    return agreement.find(scores)

  def to_dict(self) -> dict[str, Any]:
    """The provenance and the rows as plain values, as ``results.json`` has."""
    return {
      'provenance': self.provenance,
      'results': [
        row._asdict() | {'direction': str(row.direction)} for row in self.rows
      ],
    }

  def to_pandas(self):
    """The rows as a ``pandas.DataFrame``; needs pandas."""
    import pandas

    rows = map(self._csv_row, self.rows)
    return pandas.DataFrame(rows, columns=Result._fields)

  def to_markdown(self) -> str:
    """The table in Markdown."""
    return tables.markdown(self.rows)

  def to_latex(self) -> str:
    """The table in LaTeX, for the package booktabs."""
    return tables.latex(self.rows)

  def save(self, folder: str | os.PathLike) -> None:
    """Writes ``results.csv``, ``results.json`` and the files beside them.

    Files are there whole or not at all, ``results.csv`` last; those of an
    earlier run that this one does not have are removed. In a run of several
    processes one of them saves.

    Args:
      folder: Where; made if it is not there.

    Raises:
      OSError: if it cannot be written.
    """
    folder = Path(folder)
    files.check_writable(folder)
    made = {
      samples_file(name): _samples_csv(lines)
      for name, lines in self.samples.items()
    }
    if self.agreement:
      made |= tables.agreement_files(self.agreement)
    if self.flag_file is not None:
      made['run.flags'] = f'{self.flag_file}--output_dir={folder}\n'
    report = json.dumps(self.to_dict(), indent=2, allow_nan=False)
    made['results.json'] = report + '\n'
    made['results.csv'] = files.csv_text(
      Result._fields, map(self._csv_row, self.rows)
    )
    earlier = [*folder.glob('samples_*.csv'), folder / 'run.flags']
    earlier += [folder / name for name in tables.AGREEMENT_FILES]
    files.write(folder, made)
    for path in earlier:
      if path.name not in made:
        path.unlink(missing_ok=True)

  @staticmethod
  def _csv_row(row: Result) -> Result:
    return row._replace(note='; '.join(row.note))


def _samples_csv(lines: list[dict]) -> str:
  columns = list(dict.fromkeys(name for line in lines for name in line))
  return files.csv_text(
    columns, ([line.get(name) for name in columns] for line in lines)
  )
