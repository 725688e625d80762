"""The design of a study: its options, and its sets by subject."""

import dataclasses
from typing import NamedTuple

import numpy as np

from genmed_jax.errors import UsageError
from genmed_jax.evaluation.config import ScoringConfig
from genmed_jax.options import option
from genmed_jax.perturb import FAMILIES
from genmed_jax.perturb.base import Needs

STUDY = 'Perturbations'

ALL = 'all'


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig(ScoringConfig):
  """Options of a sensitivity study."""

  families: tuple[str, ...] = option(
    (ALL,),
    help=f'Families of perturbations: all, or of {", ".join(FAMILIES)}. By '
    'default all that the images allow.',
    group=STUDY,
  )
  levels: tuple[str, ...] = option(
    (),
    help='FAMILY:LEVEL,LEVEL in place of the usual levels; may be repeated.',
    group=STUDY,
    repeated=True,
  )
  family_option: tuple[str, ...] = option(
    (),
    help='FAMILY:NAME=VALUE, a constant of a family in place of the usual one; '
    'may be repeated. mode_invention:contrast=t1, t2 or flair is what the '
    'images are, if no column contrast says so.',
    group=STUDY,
    repeated=True,
  )
  reference_holds_train: bool = option(
    False,
    help='Copies are of images that the reference holds, as where a generator '
    'is scored against its own training images.',
    group=STUDY,
  )
  seeds: int = option(
    3,
    help='Splits of the real images, each with random draws of its own.',
    group=STUDY,
    at_least=1,
    at_most=1000,
  )
  images: int | None = option(
    None,
    help='Images in each set. By default a sixth of the real images.',
    group=STUDY,
    at_least=2,
  )
  subject_column: str | None = option(
    None,
    help='Column of the subject of an image: no subject is in two sets.',
    group=STUDY,
  )
  subject_pattern: str | None = option(
    None,
    help='Regular expression that finds the subject in a file name: its first '
    'group, or the whole match.',
    group=STUDY,
  )
  class_column: str = option(
    'class', help='Column of the classes that collapse.', group=STUDY
  )
  scanner_column: str = option(
    'scanner', help='Column of the scanners whose share shifts.', group=STUDY
  )

  def column(self, needs: Needs) -> str | None:
    """The column of labels that an operator on a set needs."""
    columns = {
      Needs.CLASS: self.class_column,
      Needs.SCANNER: self.scanner_column,
    }
    return columns.get(needs)


class Roles(NamedTuple):
  """Items of the sets of a study; no subject is in two of them.

  But for ``train``, which is ``reference`` where that holds it.

  Attributes:
    base: Those that are perturbed and scored, a part of ``pool``.
    reference: Real images it is scored against.
    train: Stand for a generator's training images.
    test: Held-out real images.
    pool: Those that sets of another composition are drawn from.
  """

  base: np.ndarray
  reference: np.ndarray
  train: np.ndarray
  test: np.ndarray
  pool: np.ndarray


def split(
  subjects: np.ndarray,
  images: int | None,
  seed: int,
  reference_holds_train: bool = False,
) -> Roles:
  """Splits subjects over the roles and draws as many images for each.

  Args:
    subjects: From ``data.subjects.find_subjects``.
    images: In each set but the pool; a sixth of all if None.
    seed: Of the split.
    reference_holds_train: Whether training images are the reference's.

  Raises:
    UsageError: if the subjects do not make four sets of that size.
  """
  images = images or len(subjects) // 6
  random = np.random.default_rng([seed, 2])
  names, numbers = np.unique(subjects, return_inverse=True)
  order = random.permutation(len(names))
  rank = np.argsort(order)[numbers]  # Of each image's subject.
  sizes = np.bincount(rank)
  start, parts = 0, []
  for _ in range(3):
    enough = np.flatnonzero(np.cumsum(sizes[start:]) >= images)
    stop = start + enough[0] + 1 if len(enough) else len(names)
    parts.append(np.flatnonzero((rank >= start) & (rank < stop)))
    start = stop
  pool = np.flatnonzero(rank >= start)
  if images < 2 or min(len(part) for part in (*parts, pool)) < images:
    raise UsageError(
      f'{len(subjects)} images of {len(names)} subjects do not make four sets '
      f'of {images} or more: lower `images`'
    )
  drawn = [
    np.sort(random.choice(part, images, replace=False))
    for part in (pool, *parts)
  ]
  roles = Roles(*drawn, pool)
  if reference_holds_train:
    return roles._replace(train=roles.reference)
  return roles
