"""Figures of a study, as PNGs."""

import io

from matplotlib.figure import Figure
import numpy as np

from genmed_jax.study.verdicts import Effect, severity

_COLOUR_ENDS = 10.0  # Standard errors at which colours are full.
_COLUMNS = 6


def heat_map(effects: list[Effect], title: str) -> bytes:
  """A row per metric, a column per condition.

  The colour says how clearly the metric calls the images worse (red) or
  better (blue); the number is the change in percent of the baseline.
  """
  metrics = list(dict.fromkeys(each.metric for each in effects))
  conditions = list(
    dict.fromkeys(
      (each.family, level) for each in effects for level in each.levels
    )
  )
  worse = np.full((len(metrics), len(conditions)), np.nan)
  change = worse.copy()
  for each in effects:
    for i, level in enumerate(each.levels):
      at = metrics.index(each.metric), conditions.index((each.family, level))
      worse[at], change[at] = each.worse[i], each.percent_changes[i]
  figure = Figure((2 + 0.5 * len(conditions), 1.8 + 0.25 * len(metrics)))
  axes = figure.subplots()
  drawn = axes.imshow(
    worse, 'RdBu_r', aspect='auto', vmin=-_COLOUR_ENDS, vmax=_COLOUR_ENDS
  )
  names = [f'{family} {level:g}' for family, level in conditions]
  axes.set_xticks(range(len(names)), names, rotation=60, ha='right', fontsize=7)
  axes.set_yticks(range(len(metrics)), metrics, fontsize=7)
  for (row, column), percent in np.ndenumerate(change):
    if np.isfinite(percent):
      strong = abs(worse[row, column]) > 0.6 * _COLOUR_ENDS
      axes.text(
        column,
        row,
        _percent(percent),
        ha='center',
        va='center',
        fontsize=5,
        color='white' if strong else 'black',
      )
  figure.set_layout_engine('tight')
  bar = figure.colorbar(drawn, ax=axes, fraction=0.02, pad=0.01)
  bar.set_label('standard errors towards "worse"', fontsize=7)
  axes.set_title(
    f'{title}, {effects[0].features}: change in percent', fontsize=9
  )
  return _png(figure)


def responses(effects: list[Effect], title: str) -> bytes:
  """Every metric against the level of one family, with 95 % intervals."""
  lines = -(-len(effects) // _COLUMNS)
  figure = Figure((2.3 * _COLUMNS, 1.7 * lines + 0.5))
  spacing = {'left': 0.03, 'right': 0.99, 'top': 0.94, 'bottom': 0.03}
  spacing |= {'wspace': 0.3, 'hspace': 0.45}
  panels = figure.subplots(
    lines, _COLUMNS, squeeze=False, gridspec_kw=spacing
  ).ravel()
  for axes, each in zip(panels, effects, strict=False):
    steps = [severity(each.family, level) for level in each.levels]
    reach = 1.96 * np.array(each.std_errors)
    axes.axhline(each.baseline, color='0.6', linewidth=0.8, linestyle='--')
    axes.errorbar(steps, each.values, reach, marker='o', markersize=3)
    axes.set_xlim(left=0)
    axes.set_title(f'{each.metric}: {each.verdict}', fontsize=7)
    axes.tick_params(labelsize=6)
  for axes in panels[len(effects) :]:
    axes.set_axis_off()
  first = effects[0]
  figure.suptitle(f'{title}, {first.family}, {first.features}', fontsize=9)
  return _png(figure)


def _percent(value: float) -> str:
  if abs(value) < 1000:
    return f'{value:+.0f}'
  return '>1k' if value > 0 else '<-1k'


def _png(figure: Figure) -> bytes:
  buffer = io.BytesIO()
  # No date, so that the same study gives the same bytes.
  figure.savefig(buffer, format='png', dpi=110, metadata={'Software': None})
  return buffer.getvalue()
