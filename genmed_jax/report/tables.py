"""Rows of results as tables to read."""

from collections.abc import Callable, Sequence
import html as html_lib

from genmed_jax.report import files
from genmed_jax.report.results import Result
from genmed_jax.statistics.agreement import (
  Agreement,
  Contradiction,
  Findings,
)

_BRACKETS = (
  'in brackets: the excess over real images, in units of chance; above 2 is '
  'worse than they are, below -2 better'
)

AGREEMENT_FILES = ('agreement.csv', 'contradictions.csv')


def text(rows: Sequence[Result]) -> str:
  """A table of plain text, a line a metric, a column a set; notes below it."""
  lines = _lines(rows, '{} ± {}')
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  lines.insert(1, ['-' * width for width in widths])
  table = '\n'.join(
    '  '.join(cell.ljust(w) for cell, w in zip(line, widths, strict=True))
    for line in lines
  )
  return '\n'.join([table, '', *_notes(rows)])


def markdown(rows: Sequence[Result]) -> str:
  """A Markdown table, a line a metric, a column a set."""
  head, *body = _lines(rows, '{} ± {}', lambda cell: cell.replace('|', r'\|'))
  lines = [head, ['---'] * len(head), *body]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines) + '\n'


def latex(rows: Sequence[Result]) -> str:
  """A LaTeX table for the package booktabs."""
  head, *body = _lines(rows, r'{} $\pm$ {}', _escape_latex)
  lines = [' & '.join(line) + r' \\' for line in (head, *body)]
  return '\n'.join(
    [
      rf'\begin{{tabular}}{{{"l" * len(head)}}}',
      r'\toprule',
      lines[0],
      r'\midrule',
      *lines[1:],
      r'\bottomrule',
      r'\end{tabular}',
      '',
    ]
  )


def html(rows: Sequence[Result]) -> str:
  """An HTML table, with the notes below it."""
  head, *body = _lines(rows, '{} &plusmn; {}', html_lib.escape)
  cells = [('th', head), *(('td', line) for line in body)]
  lines = (
    ''.join(f'<{tag}>{cell}</{tag}>' for cell in line) for tag, line in cells
  )
  table = '\n'.join(f'<tr>{line}</tr>' for line in lines)
  notes = ''.join(f'<li>{html_lib.escape(n)}</li>' for n in _notes(rows))
  return f'<table>\n{table}\n</table>\n<ul>{notes}</ul>\n'


def agreement_files(found: Findings) -> dict[str, str]:
  """``agreement.csv`` and ``contradictions.csv``."""
  fields = Agreement._fields, Contradiction._fields
  return {
    name: files.csv_text(*table)
    for name, table in zip(
      AGREEMENT_FILES, zip(fields, found, strict=True), strict=True
    )
  }


def _lines(
  rows: Sequence[Result],
  with_error: str,
  escape: Callable[[str], str] = str,
) -> list[list[str]]:
  """Head and lines of the table.

  Args:
    rows: The results.
    with_error: Format of a value and its standard error.
    escape: Of names, for the format of the table.
  """
  sets = list(dict.fromkeys(row.generated for row in rows))
  by_metric = {}
  for row in rows:
    line = by_metric.setdefault((row.features, row.group, row.metric), {})
    line[row.generated] = row

  def cell(row: Result | None) -> str:
    if row is None or row.value is None:
      return '-'
    value = _number(row.value)
    if row.std_error is not None:
      value = with_error.format(value, _number(row.std_error, 2))
    return value if row.excess is None else f'{value} ({_signed(row.excess)})'

  names = ['features', 'group', 'metric', 'better', *sets, 'floor']
  lines = [list(map(escape, names))]
  for key, line in by_metric.items():
    first = next(iter(line.values()))
    lines.append(
      [
        *(escape(name) for name in (*key, first.direction)),
        *(cell(line.get(name)) for name in sets),
        _number(first.floor),
      ]
    )
  return lines


def _notes(rows: Sequence[Result]) -> list[str]:
  """The meaning of the brackets, then each note with its metrics and sets."""
  notes = {}
  for row in rows:
    for note in row.note:
      about = notes.setdefault(note, {}).setdefault(row.generated, [])
      about.append(row.metric)
  brackets = any(row.excess is not None for row in rows)
  return [_BRACKETS] * brackets + [
    note
    + ': '
    + '; '.join(
      f'{" ".join(dict.fromkeys(names))} of {generated}'
      for generated, names in by_set.items()
    )
    for note, by_set in notes.items()
  ]


def _escape_latex(cell: str) -> str:
  special = {c: f'\\{c}' for c in '&%$#_{}'}
  special |= {'\\': r'\textbackslash{}', '~': r'\textasciitilde{}'}
  special['^'] = r'\textasciicircum{}'
  return ''.join(special.get(c, c) for c in cell)


def _signed(excess: float) -> str:
  return f'{excess:+.1f}' if abs(excess) < 100 else f'{excess:+.0f}'


def _number(value: float | None, digits: int = 4) -> str:
  return '-' if value is None else f'{value:.{digits}g}'
