"""Values of every metric at every level, a table per family."""

from collections.abc import Iterator

from genmed_jax.statistics.agreement import Scored, Scores
from genmed_jax.study.conditions import BASELINE, Condition
from genmed_jax.study.verdicts import Effect


def family_tables(effects: list[Effect], scored: Scores) -> Iterator[str]:
  """Lines of Markdown: a row per metric, a column per level, with intervals.

  Args:
    effects: Their families, with levels by severity, are shown.
    scored: Every metric under every condition.
  """
  yield '# Family by family'
  yield ''
  yield (
    'Means over seeds, and in brackets 95 % intervals for one set; the '
    'baseline is the same images untouched.'
  )
  for family, levels in {each.family: each.levels for each in effects}.items():
    named = [str(Condition(family, level)) for level in levels]
    yield from ('', f'## {family}', '')
    heads = ('features', 'metric', BASELINE, *(f'{each:g}' for each in levels))
    yield '| ' + ' | '.join(heads) + ' |'
    yield '|---' * len(heads) + '|'
    for (features, metric), of_sets in scored.items():
      cells = [_cell(of_sets.get(name)) for name in (BASELINE, *named)]
      yield f'| {features} | `{metric}` | ' + ' | '.join(cells) + ' |'


def _cell(score: Scored | None) -> str:
  if score is None:
    return ''
  return f'{score.value:.3g} ({score.low:.3g} to {score.high:.3g})'
