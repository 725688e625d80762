"""The random numbers of many subjects, from one program for all drawings.

Each call of ``jax.random`` in a program takes a good part of a second to
compile, and a drawing would make dozens of them. So a drawing lists what it
needs, and the list is an argument of a program that makes two such calls.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from genmed_jax.data.phantom.program import on_subjects

# Room for any list: one shape, so one program.
_DRAWS, _STEPS, _NUMBERS = 24, 4, 80


class Draw(NamedTuple):
  """Some numbers, of a key of their own.

  Attributes:
    path: What the subject's key is folded with, step by step.
    shape: Of the numbers; None for the key itself, to draw more of it.
    normal: Whether they are standard normal, or else uniform in [0, 1).
  """

  path: tuple[int, ...]
  shape: tuple[int, ...] | None = ()
  normal: bool = False


def draw(
  seeds: np.ndarray, numbers: np.ndarray, draws: Mapping[str, Draw]
) -> dict[str, np.ndarray]:
  """Draws what is listed for every subject; other draws change none of it.

  Args:
    seeds: ``[n]``, of each subject's set.
    numbers: ``[n]``, each subject's place in its set.
    draws: Names to what is drawn.

  Returns:
    Name to ``[n, *shape]`` float32, or to the data of keys ``[n, 2]``.
  """
  steps = np.zeros((_STEPS, _DRAWS), np.uint32)
  lengths = np.zeros(_DRAWS, np.int32)
  normal = np.zeros(_DRAWS, bool)
  for column, each in enumerate(draws.values()):
    lengths[column] = len(each.path)
    steps[: len(each.path), column] = each.path
    normal[column] = each.normal
  values, keys = _draw(
    seeds, numbers, steps=steps, lengths=lengths, normal=normal
  )
  values, keys = np.asarray(values), np.asarray(keys)
  found = {}
  for column, (name, each) in enumerate(draws.items()):
    if each.shape is None:
      found[name] = keys[:, column]
    else:
      those = values[:, column, : np.prod(each.shape, dtype=int)]
      found[name] = those.reshape(-1, *each.shape)
  return found


@on_subjects()
def _draw(seed, number, *, steps, lengths, normal):
  """Numbers ``[draws, numbers]`` and the data of their keys ``[draws, 2]``."""

  def fold(keys, step):
    i, along = step
    folded = jax.vmap(jax.random.fold_in)(keys, along)
    return jnp.where(i <= lengths, folded, keys), None

  paths = jnp.concatenate([jnp.full((1, _DRAWS), number), steps])
  roots = jnp.broadcast_to(jax.random.key(seed), _DRAWS)
  keys, _ = lax.scan(fold, roots, (jnp.arange(len(paths)), paths))
  # A normal number is made of a uniform one in (-1, 1), as `jax.random` does.
  low = jnp.where(normal, np.nextafter(np.float32(-1), np.float32(0)), 0.0)
  uniform = jax.vmap(
    lambda key, low: jax.random.uniform(key, (_NUMBERS,), minval=low)
  )(keys, low)
  gaussian = np.float32(np.sqrt(2)) * lax.erf_inv(uniform)
  values = jnp.where(normal[:, None], gaussian, uniform)
  return values, jax.random.key_data(keys)


def choice(uniform: jax.Array, shares: tuple[float, ...]) -> jax.Array:
  """The class that a uniform number falls to, as ``jax.random.choice`` does."""
  ends = np.cumsum(np.array(shares, np.float32))
  return jnp.sum(ends[:-1] < ends[-1] * (1 - uniform))
