"""Labels of images, as findings of radiographs have them."""

import numpy as np

from genmed_jax.data.source import Source
from genmed_jax.errors import UsageError

# Of what is not known, which no loss and no score counts.
IGNORED = -1


def multi_labels(
  source: Source, columns: tuple[str, ...], uncertain: str
) -> np.ndarray:
  """Labels ``[n, k]`` int8: 1, 0, or :data:`IGNORED`.

  Args:
    source: Whose columns hold 1 and 0 (or 1.0, true, and so on), -1 for what
      its reader was not sure of, and nothing for what was not mentioned,
      which is negative.
    columns: Which, in order.
    uncertain: One of ``config.UNCERTAIN``, what -1 counts as.

  Raises:
    UsageError: if a column is not there or holds something else.
  """
  labels = []
  for column in columns:
    if column not in source.labels:
      raise UsageError(
        f'`label_columns`: {source.name} has no column {column}; it has '
        f'{", ".join(source.labels) or "none"}'
      )
    labels.append(_of_column(source, column, uncertain))
  return np.stack(labels, axis=1)


def one_hot(
  sources: dict[str, Source],
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
  """Classes in the column ``class``, and labels ``[n, k]`` of every source.

  Raises:
    UsageError: if a source has no such column.
  """
  for source in sources.values():
    if 'class' not in source.labels:
      raise UsageError(
        f'{source.name} has no column class: name others by `label_columns`'
      )
  named = [source.labels['class'] for source in sources.values()]
  classes = np.unique(np.concatenate(named))
  return tuple(classes.tolist()), {
    name: (source.labels['class'][:, None] == classes).astype(np.int8)
    for name, source in sources.items()
  }


def _of_column(source: Source, column: str, uncertain: str) -> np.ndarray:
  unknown = {'negative': 0, 'positive': 1, 'ignore': IGNORED}[uncertain]
  meaning = {'': 0, 'nan': 0, 'true': 1, 'false': 0}
  values, places = np.unique(source.labels[column], return_inverse=True)
  found = []
  for value in values:
    text = value.strip().lower()
    if text not in meaning:
      try:
        number = float(text)
      except ValueError:
        number = None
      if number not in (-1, 0, 1):
        raise UsageError(
          f'{source.name}: column {column} holds {str(value)!r}; labels are '
          '1, 0, -1 or empty'
        )
      meaning[text] = unknown if number == -1 else int(number)
    found.append(meaning[text])
  return np.array(found, np.int8)[places]
