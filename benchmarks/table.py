"""Writes the tables of ``docs/benchmarks.md`` out of JSON lines.

python -m benchmarks.table benchmarks/results/*.jsonl

Each file becomes a table between ``<!-- benchmarks NAME -->`` and
``<!-- end -->`` there, NAME being the file's, without its ending.
"""

import collections
from collections.abc import Callable
import json
import math
from pathlib import Path

from absl import app

_PAGE = Path(__file__).parent.parent / 'docs' / 'benchmarks.md'


def main(argv):
  """Rewrites the tables."""
  text = _PAGE.read_text()
  for path in map(Path, argv[1:]):
    records = [json.loads(line) for line in path.read_text().splitlines()]
    table = _TABLES[records[0]['benchmark']]
    before, start, rest = text.partition(f'<!-- benchmarks {path.stem} -->\n')
    _, end, after = rest.partition('<!-- end -->')
    if not end:
      raise app.UsageError(f'docs/benchmarks.md has no place for {path.stem}')
    text = before + start + table(records) + end + after
  _PAGE.write_text(text)


def _statistics(records: list[dict]) -> str:
  counts = sorted({record['n'] for record in records})
  lines = [
    [
      'd',
      'statistic',
      *map(str, counts),
      'growth',
      'product rate',
      'peer',
    ]
  ]
  kinds = dict.fromkeys((-r['d'], r['statistic']) for r in records)
  for width, statistic in sorted(kinds, key=lambda kind: kind[0]):
    runs = {
      r['n']: r
      for r in records
      if (r['d'], r['statistic']) == (-width, statistic)
    }
    shares = [r.get('share_of_float32_matmul') for r in runs.values()]
    share = max((s for s in shares if s), default=None)
    peer = next((r['peer'] for r in runs.values() if 'peer' in r), '')
    lines.append(
      [
        str(-width),
        f'`{statistic}`',
        *(_cell(runs.get(count)) for count in counts),
        _growth(runs),
        f'{share:.0%}' if share else '',
        peer,
      ]
    )
  return _markdown(lines)


def _cell(record: dict | None) -> str:
  if record is None:
    return ''
  seconds = f'{record["median_s"]:.2g}'
  if record['median_s'] >= 100:
    seconds = f'{record["median_s"]:.0f}'
  return (
    f'{seconds} ({record["speedup"]:.2g}x)' if 'peer' in record else seconds
  )


def _growth(runs: dict[int, dict]) -> str:
  """Exponent of time in n, between the two largest."""
  if len(runs) < 2:
    return ''
  small, large = sorted(runs)[-2:]
  ratio = runs[large]['median_s'] / runs[small]['median_s']
  return f'{math.log(ratio) / math.log(large / small):.1f}'


def _features(records: list[dict]) -> str:
  lines = [['network', 'dtype', 'batch', 'images/s', 'of matmul rate', 'peer']]
  for r in records:
    if r['benchmark'] == 'network':
      peer = (
        f'{r["peer"]} {r["peer_images_per_s"]:.3g} ({r["speedup"]:.2g}x)'
        if 'peer' in r
        else ''
      )
      lines.append(
        [
          f'`{r["network"]}`',
          r['dtype'],
          str(r['batch_size']),
          f'{r["images_per_s"]:.3g}',
          f'{r["share_of_float32_matmul"]:.0%}',
          peer,
        ]
      )
  return _markdown(lines)


def _cold(records: list[dict]) -> str:
  lines = [
    ['scenario', '', 'programs', 'imports', 'programs ready', 'rest', 'total']
  ]
  for r in records:
    parts = r['import_s'], r['programs_s'], r['computing_s'], r['total_s']
    lines.append(
      [
        f'`{r["scenario"]}`',
        r['state'],
        str(int(r['programs'])),
        *(f'{seconds:.1f}' for seconds in parts),
      ]
    )
  return _markdown(lines)


def _excess(records: list[dict]) -> str:
  """Percent of pairs of real sets that are beyond 2, either way."""
  heads = [f'{r["law"]}, {r["sizes"].replace(":", " and ")}' for r in records]

  def cell(found):
    return f'{100 * (found["worse"] + found["better"]):.1f}'

  return _by_metric(records, heads, cell)


def _coverage(records: list[dict]) -> str:
  """Percent of intervals that hold the mean, lie above it, and below."""
  heads = [f'{r["law"].replace("/", ", ")}, {r["n"]}' for r in records]

  def cell(found):
    if not found['intervals']:
      return '-'
    shares = (100 * found[name] for name in ('held', 'too_high', 'too_low'))
    return '{:.1f} ({:.1f}, {:.1f})'.format(*shares)

  return _by_metric(records, heads, cell)


def _by_metric(records: list[dict], heads: list[str], cell: Callable) -> str:
  """A line for each metric, and a column for each head."""
  found = collections.defaultdict(dict)
  for head, record in zip(heads, records, strict=True):
    for name, each in record['metrics'].items():
      found[name][head] = cell(each)
  heads = list(dict.fromkeys(heads))
  lines = [['metric', *heads]]
  for name, cells in found.items():
    lines.append([f'`{name}`', *(cells.get(head, '') for head in heads)])
  return _markdown(lines)


def _markdown(lines: list[list[str]]) -> str:
  header, *rows = ('| ' + ' | '.join(line) + ' |\n' for line in lines)
  return header + '|---' * len(lines[0]) + '|\n' + ''.join(rows)


_TABLES = {
  'statistic': _statistics,
  'network': _features,
  'cold': _cold,
  'excess': _excess,
  'coverage': _coverage,
}

if __name__ == '__main__':
  app.run(main)
