"""The files of a study: tables, figures, and a page in words."""

import collections
from collections.abc import Iterator
import json

from genmed_jax.report import files
from genmed_jax.report.tables import agreement_files
from genmed_jax.statistics import agreement
from genmed_jax.study import figures
from genmed_jax.study.findings import Outcome, outcomes
from genmed_jax.study.tables import family_tables
from genmed_jax.study.verdicts import (
  CLEAR,
  ConditionRow,
  Effect,
  NOTHING,
  RESPONDS,
  SATURATES,
  WRONG,
)

_FEWEST_IMAGES = 50  # In a set that published findings are checked on.

_MARKS = {
  RESPONDS: 'yes',
  SATURATES: 'to a point',
  WRONG: 'WRONG',
  NOTHING: '-',
}
_VERDICT_COLUMNS = (
  'family',
  'features',
  'metric',
  'direction',
  'slope',
  'slope_std_error',
  'strongest_z',
  'verdict',
)


def study_files(
  name: str,
  rows: list[ConditionRow],
  effects: list[Effect],
  scored: agreement.Scores,
  provenance: dict,
) -> dict[str, str | bytes]:
  """Name to content of every file, the page last."""
  verdicts = [
    (
      *each[:4],
      each.slope,
      each.slope_std_error,
      max(each.z_scores, key=abs),
      each.verdict,
    )
    for each in effects
  ]
  report = {
    'provenance': provenance,
    'effects': [each._asdict() for each in effects],
  }
  made = {
    'sensitivity.csv': files.csv_text(ConditionRow._fields, rows),
    'verdicts.csv': files.csv_text(_VERDICT_COLUMNS, verdicts),
    'sensitivity.json': json.dumps(_plain(report), indent=2) + '\n',
    'tables.md': '\n'.join(family_tables(effects, scored)) + '\n',
  }
  pictures = {}
  title = 'phantom numbers' if _of_phantom(provenance) else name
  for features, of_network in by_network(effects).items():
    safe = files.file_stem(features)
    pictures[f'heatmap_{safe}.png'] = figures.heat_map(of_network, title)
    for family in dict.fromkeys(each.family for each in of_network):
      of_family = [each for each in of_network if each.family == family]
      pictures[f'{family}_{safe}.png'] = figures.responses(of_family, title)
  found = agreement.find(scored)
  if found:
    made |= agreement_files(found)
  text = '\n'.join(_page(name, effects, found, provenance, list(pictures)))
  return made | pictures | {'sensitivity.md': text + '\n'}


def _plain(value):
  """NaN has no JSON: undefined is null."""
  if isinstance(value, dict):
    return {key: _plain(each) for key, each in value.items()}
  if isinstance(value, list | tuple):
    return [_plain(each) for each in value]
  return None if isinstance(value, float) and value != value else value


def _page(name, effects, downstream, provenance, pictures) -> Iterator[str]:
  flags, images = provenance['flags'], provenance['images']
  yield '# What the metrics see'
  yield ''
  yield (
    f'Real images of {name}: {provenance["subjects"]} subjects, '
    f'{images["base"]} images in each set, {flags["seeds"]} seeds. Every value '
    'is in [tables.md](tables.md).'
  )
  if provenance['flags'].get('reference_holds_train'):
    yield 'The reference holds the training images that copies are of.'
  for family in dict.fromkeys(each.family for each in effects):
    if given := provenance['constants'][family].items():
      yield f'{family} with {", ".join(f"{k} {v}" for k, v in given)}.'
  if _of_phantom(provenance):
    yield (
      'These are phantom numbers: they show how metrics behave, and nothing '
      'about patients.'
    )
  for features, of_network in by_network(effects).items():
    yield from ('', f'## {features}', '')
    yield from verdict_lines(of_network)
    yield from ('', '### Family by family', '')
    yield from _in_words(of_network)
    yield from ('', '### Published findings on these images', '')
    if images['base'] < _FEWEST_IMAGES:
      yield f'Sets of {images["base"]} images are too few to tell.'
      continue
    for outcome in outcomes(of_network):
      yield from _outcome(outcome)
  if downstream and downstream.agreements:
    yield from _downstream(downstream)
  yield from ('', '## Figures', '')
  yield (
    'Colour and sign in the heat-map: red, the metric says that the images '
    'got worse; blue, that they got better. Numbers are percent of the '
    'baseline.'
  )
  yield from ('', *(f'![{each}]({each})' for each in pictures), '')
  yield '## Time'
  yield ''
  spent = provenance['seconds'].items()
  yield ', '.join(f'{what} {seconds:.0f} s' for what, seconds in spent) + '.'
  yield 'Perturbation runs beside extraction; what was cached takes none.'


def by_network(effects: list[Effect]) -> dict[str, list[Effect]]:
  """The effects under each network."""
  found = {}
  for each in effects:
    found.setdefault(each.features, []).append(each)
  return found


def _of_phantom(provenance: dict) -> bool:
  return 'phantom:' in provenance['flags']['reference']


def verdict_lines(effects: list[Effect]) -> Iterator[str]:
  """A line per metric of one network, a column per family."""
  families = list(dict.fromkeys(each.family for each in effects))
  verdict = {(each.metric, each.family): each.verdict for each in effects}
  yield (
    f'Does the metric say that images got worse, by more than {CLEAR:g} '
    'standard errors of what it says of untouched ones? *yes*; *to a point*, '
    'where the last step changes it no more; *WRONG*, it says that they got '
    'better; -, it says nothing.'
  )
  yield ''
  yield '| metric | ' + ' | '.join(families) + ' |'
  yield '|---' * (1 + len(families)) + '|'
  for metric in dict.fromkeys(each.metric for each in effects):
    marks = [
      _MARKS.get(verdict.get((metric, family)), '') for family in families
    ]
    yield f'| `{metric}` | ' + ' | '.join(marks) + ' |'


def _in_words(effects: list[Effect]) -> Iterator[str]:
  said = {
    RESPONDS: 'seen by',
    SATURATES: 'seen to a point by',
    WRONG: 'taken for an improvement by',
    NOTHING: 'not seen by',
  }
  for family in dict.fromkeys(each.family for each in effects):
    parts = []
    for verdict, words in said.items():
      named = [
        f'`{each.metric}`'
        for each in effects
        if (each.family, each.verdict) == (family, verdict)
      ]
      if named:
        parts.append(f'{words} {" ".join(named)}')
    yield f'* **{family}**: {"; ".join(parts)}.'


def _downstream(found: agreement.Findings) -> Iterator[str]:
  """Agreement of metrics with the downstream task on orders of conditions."""
  against = collections.Counter(
    (each.features, each.metric) for each in found.contradictions
  )
  yield from ('', '## Upstream and downstream', '')
  yield (
    f'Do metrics order the {found.agreements[0].sets} sets as the predicted '
    'Dice of a segmenter on them does? Rank correlations with 95 % intervals '
    'over sets and p values of permutations; and in how many pairs of sets one '
    'is better upstream, the other downstream, beyond both intervals.'
  )
  yield ''
  yield '| features | metric | Kendall | p | Spearman | contradictions |'
  yield '|---' * 6 + '|'
  for each in found.agreements:
    ends = f'{each.kendall_low:.2f} to {each.kendall_high:.2f}'
    yield (
      f'| {each.features} | `{each.metric}` | {each.kendall:.2f} ({ends}) | '
      f'{each.kendall_p:.3f} | {each.spearman:.2f} | '
      f'{against[each.features, each.metric]} |'
    )


def _outcome(outcome: Outcome) -> Iterator[str]:
  held = len(outcome.effects) - len(outcome.against)
  yield (
    f'* {outcome.finding.text} **It {outcome.verdict} here** '
    f'({held} of {len(outcome.effects)}).'
  )
  for each in outcome.effects:
    sign = 'against' if each in outcome.against else 'for'
    yield (
      f'  * {sign}: `{each.metric}` under {each.family}, '
      f'{each.baseline:.4g} to {each.values[-1]:.4g} '
      f'({each.percent_changes[-1]:+.0f} %, z {each.z_scores[-1]:+.1f}), '
      f'{each.verdict}'
    )
