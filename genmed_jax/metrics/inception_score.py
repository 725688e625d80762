"""Inception Score of a generated set's class logits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.mesh import as_rows, to_host
from genmed_jax.engine.rows import fold_rows, TooFewImages


class InceptionScore(NamedTuple):
  """Mean over splits, its ``std_error``, and the spread over splits."""

  value: float
  std_error: float
  split_std: float


def inception_score(
  logits, *, splits: int = 10, seed: int = 2020, mask=None
) -> InceptionScore:
  r"""Inception Score: exp of the mutual information of image and class.

  .. math::
    \exp\bigl(H(\tfrac1n \textstyle\sum_i p_i) - \tfrac1n \sum_i H(p_i)\bigr),
    \quad p_i = \mathrm{softmax}(\ell_i)

  averaged over splits of the images shuffled by ``RandomState(seed)``. Split
  s of S takes the images from ``s n // S`` to ``(s + 1) n // S``, so that all
  are used. Entropies come from log-softmax in float64, so a vanishing
  probability costs nothing.

  Args:
    logits: ``[m, classes]``, without the classifier's bias.
    splits: How many.
    seed: Of the shuffle.
    mask: ``[m]``, nonzero for rows that count; all rows if None.

  Returns:
    :class:`InceptionScore`, between 1 and the number of classes; higher is
    better. The real set plays no part. ``std_error`` is ``split_std`` (ddof
    0, as the field reports it) made unbiased, over sqrt(splits).

  Raises:
    ValueError: if a logit is not finite or there are fewer than two splits, or
      fewer images.

  References:
    Salimans et al., 2016, section 4.
  """
  with jax.enable_x64(True):
    x = as_rows(logits, mask)
    mask = to_host(x.mask)
    count = int(mask.sum())
    if splits < 2:
      raise ValueError(f'splits must be at least 2, not {splits}')
    if count < splits:
      raise TooFewImages(f'{splits} splits need as many images, got {count}')
    bounds = np.arange(splits + 1) * count // splits
    shuffled = np.random.RandomState(seed).permutation(count)
    split = np.empty(count, np.int64)
    split[shuffled] = np.repeat(np.arange(splits), np.diff(bounds))
    member = np.zeros((len(mask), splits))
    member[mask, split] = 1.0
    classes = x.values.shape[1]
    zeros = jnp.zeros((splits, classes)), jnp.zeros(splits)
    state = fold_rows(x, _add, zeros, info=mesh_lib.put_rows(x, member))
    total, negative_entropy = (to_host(s) for s in state)
  sizes = np.diff(bounds)
  marginal = total / sizes[:, None]
  positive = np.where(marginal > 0, marginal, 1.0)
  information = negative_entropy / sizes - np.sum(
    marginal * np.log(positive), axis=1
  )
  scores = np.exp(information)
  error = np.std(scores, ddof=1) / np.sqrt(splits)
  return InceptionScore(float(scores.mean()), float(error), float(scores.std()))


def _add(logits, valid, member, context, state):
  """Adds ``sum p`` and ``sum p log p`` of a tile to each split's sums."""
  del context
  log_p = jax.nn.log_softmax(logits, axis=1)
  p = jnp.exp(log_p)
  member = jnp.where(valid[:, None], member, 0.0)
  return (
    state[0] + member.T @ p,
    state[1] + member.T @ jnp.sum(p * log_p, axis=1),
  )
