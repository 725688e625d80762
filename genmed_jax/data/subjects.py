"""Whose image each is, and parts of a source that share nobody."""

import re

import numpy as np

from genmed_jax.data.source import Source
from genmed_jax.errors import UsageError


def subjects(
  source: Source, column: str | None, pattern: str | None
) -> np.ndarray:
  """Whose image each is, ``[n]``; images are taken one by one if unknown.

  Args:
    source: Of the images.
    column: That says so.
    pattern: Regular expression whose first group, or the whole of which, finds
      it in an image's id.

  Raises:
    UsageError: if there is no such column, or the pattern does not match.
  """
  if column:
    if column not in source.labels:
      raise UsageError(
        f'--subject_column={column}: {source.name} has no such column; it has '
        f'{", ".join(source.labels) or "none"}'
      )
    return source.labels[column]
  if pattern is None:
    return np.arange(len(source)).astype(str)
  try:
    compiled = re.compile(pattern)
  except re.error as error:
    raise UsageError(f'--subject_pattern={pattern}: {error}') from error
  found = [compiled.search(name) for name in source.ids]
  if None in found:
    raise UsageError(
      f'--subject_pattern={pattern} does not match '
      f'{source.ids[found.index(None)]!r}'
    )
  return np.array([match[compiled.groups and 1] for match in found])


def deal(whose: np.ndarray, shares: tuple[float, ...], seed: int):
  """Cuts images into parts of about these shares, none of which share anybody.

  Args:
    whose: From :func:`subjects`.
    shares: Of the images, one per part; they sum to 1.
    seed: Of the deal.

  Returns:
    The items of each part, ascending.

  Raises:
    UsageError: if there are too few subjects for every part to have two
      images.
  """
  names, numbers = np.unique(whose, return_inverse=True)
  order = np.random.default_rng([seed, 3]).permutation(len(names))
  rank = np.argsort(order)[numbers]  # Of each image's subject.
  before = np.cumsum(np.bincount(rank)) / len(whose)
  ends = np.searchsorted(before, np.cumsum(shares)[:-1])
  parts = [
    np.flatnonzero(part == np.digitize(rank, ends + 1))
    for part in range(len(shares))
  ]
  if min(map(len, parts)) < 2:
    raise UsageError(
      f'{len(whose)} images of {len(names)} subjects do not make '
      f'{len(shares)} parts of two images or more'
    )
  return parts
