"""Subjects of images, and splits of a source by subject."""

from collections.abc import Mapping, Sequence
import hashlib
import re
from typing import Protocol

import numpy as np

from genmed_jax.errors import UsageError


class Named(Protocol):
  """Images, or features of them, that have names and labels."""

  name: str
  ids: Sequence[str]
  labels: Mapping[str, np.ndarray]

  def __len__(self) -> int:
    """Number of images."""


def find_subjects(
  source: Named, column: str | None, pattern: str | None
) -> np.ndarray:
  """The subject of every image, ``[n]``; each its own if they are unknown.

  Args:
    source: The images.
    column: Column of the subjects.
    pattern: Regular expression that finds the subject in an image's id: its
      first group, or the whole match.

  Raises:
    UsageError: if there is no such column, or the pattern does not match.
  """
  if column:
    if column not in source.labels:
      raise UsageError(
        f'`subject_column={column!r}`: {source.name} has no such column; it '
        f'has {", ".join(source.labels) or "none"}'
      )
    return source.labels[column]
  if pattern is None:
    return np.arange(len(source)).astype(str)
  try:
    compiled = re.compile(pattern)
  except re.error as error:
    raise UsageError(f'`subject_pattern={pattern!r}`: {error}') from error
  matches = map(compiled.search, source.ids)
  found = [match and match[compiled.groups and 1] for match in matches]
  if None in found:
    raise UsageError(
      f'`subject_pattern={pattern!r}` does not match '
      f'{source.ids[found.index(None)]!r}'
    )
  return np.array(found)


def numbers_of(subjects: Sequence[str]) -> np.ndarray:
  """Numbers of subjects, ``[n]`` int64, the same for equal names anywhere."""
  digests = (
    hashlib.blake2b(name.encode(errors='surrogateescape'), digest_size=8)
    for name in subjects
  )
  return np.array(
    [int.from_bytes(d.digest(), signed=True) for d in digests], np.int64
  )


def split_by_subject(
  subjects: np.ndarray, shares: tuple[float, ...], seed: int
):
  """Splits images into parts of about these shares, with no subject in two.

  Args:
    subjects: From :func:`find_subjects`.
    shares: Of the images, one per part; they sum to 1.
    seed: Of the split.

  Returns:
    The items of each part, ascending.

  Raises:
    UsageError: if there are too few subjects for every part to have two
      images.
  """
  names, numbers = np.unique(subjects, return_inverse=True)
  order = np.random.default_rng([seed, 3]).permutation(len(names))
  rank = np.argsort(order)[numbers]  # Of each image's subject.
  before = np.cumsum(np.bincount(rank)) / len(subjects)
  ends = np.searchsorted(before, np.cumsum(shares)[:-1])
  parts = [
    np.flatnonzero(part == np.digitize(rank, ends + 1))
    for part in range(len(shares))
  ]
  if min(map(len, parts)) < 2:
    raise UsageError(
      f'{len(subjects)} images of {len(names)} subjects do not make '
      f'{len(shares)} parts of two images or more'
    )
  return parts
