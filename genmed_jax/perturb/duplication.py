"""Copies in a set of images, as operators on indices."""

import jax
import numpy as np

from genmed_jax.perturb.base import ActsOn, Family, is_share, Needs, SHARES


def external_duplication(key, base, train, *, level) -> np.ndarray:
  """Replaces a share of a set by exact copies of training images.

  Args:
    key: Of the draw.
    base: ``[n]``, the set.
    train: ``[t]``, the training images; copied at most once each while they
      last.
    level: Share in percent.

  Returns:
    ``[n]`` entries of ``base`` and ``train``.
  """
  places, sources = jax.random.split(key)
  replaced = _draw(places, len(base), round(len(base) * level / 100))
  result = np.array(base)
  result[replaced] = np.asarray(train)[
    _draw(sources, len(train), len(replaced))
  ]
  return result


def internal_duplication(key, base, *, level) -> np.ndarray:
  """Replaces a share of a set by copies of others of its images.

  Args:
    key: Of the draw.
    base: ``[n]``, the set.
    level: Share in percent.

  Returns:
    ``[n]`` entries of ``base``; what is copied is never replaced itself.
  """
  order = np.asarray(jax.random.permutation(key, len(base)))
  replaced, kept = np.split(order, [round(len(base) * level / 100)])
  result = np.array(base)
  again = np.resize(kept, len(replaced))
  result[replaced] = result[again]
  return result


def _draw(key, n: int, size: int) -> np.ndarray:
  """``size`` of ``n`` in random order, round and round if there are fewer."""
  return np.resize(np.asarray(jax.random.permutation(key, n)), size)


FAMILIES = tuple(
  Family(
    name=name,
    operator=operator,
    levels=(5, 15, 30, 45),
    acts_on=ActsOn.SET,
    needs=needs,
    accepts=is_share,
    accepted=SHARES,
  )
  for name, operator, needs in (
    ('external_duplication', external_duplication, Needs.TRAIN),
    ('internal_duplication', internal_duplication, None),
  )
)
