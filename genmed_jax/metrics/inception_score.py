"""Inception Score of a generated set's class logits."""

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.feature_set import FeatureSet
from genmed_jax.engine.kernel import on_feature_sets
from genmed_jax.engine.mesh import to_host
from genmed_jax.engine.rows import fold_rows
from genmed_jax.errors import Undefined
from genmed_jax.metrics.base import Aspect, Comparison, Measured, Metric
from genmed_jax.statistics.direction import Direction
from genmed_jax.statistics.intervals import Estimate


@on_feature_sets
def inception_score(
  logits: FeatureSet, *, splits: int = 10, seed: int = 2020
) -> Estimate:
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

  Returns:
    :class:`Estimate`, between 1 and the number of classes; higher is better.
    The real set plays no part. ``split_std`` among its details is the spread
    over splits (ddof 0, as the field reports it), ``std_error`` the same made
    unbiased, over sqrt(splits).

  Raises:
    ValueError: if a logit is not finite or there are fewer than two splits, or
      fewer images.

  References:
    Salimans et al., 2016, section 4.
  """
  x, count = logits.rows, logits.count
  mask = to_host(x.mask)
  if splits < 2:
    raise ValueError(f'splits must be at least 2, not {splits}')
  if count < splits:
    raise Undefined(f'{splits} splits need as many images, got {count}')
  bounds = np.arange(splits + 1) * count // splits
  shuffled = np.random.RandomState(seed).permutation(count)
  split = np.empty(count, np.int64)
  split[shuffled] = np.repeat(np.arange(splits), np.diff(bounds))
  member = np.zeros((len(mask), splits))
  member[mask, split] = 1.0
  zeros = np.zeros((splits, logits.width)), np.zeros(splits)
  total, negative_entropy = fold_rows(x, _add, zeros, info=member)
  sizes = np.diff(bounds)
  marginal = total / sizes[:, None]
  positive = np.where(marginal > 0, marginal, 1.0)
  information = negative_entropy / sizes - np.sum(
    marginal * np.log(positive), axis=1
  )
  scores = np.exp(information)
  error = np.std(scores, ddof=1) / np.sqrt(splits)
  return Estimate(
    float(scores.mean()), float(error), {'split_std': float(scores.std())}
  )


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


def _is(c: Comparison) -> Measured:
  found = inception_score(c.generated.output('logits'), seed=c.seed)
  return Measured.of(found)


METRICS = (
  Metric(
    name='is',
    aspect=Aspect.FIDELITY,
    direction=Direction.HIGHER,
    measure=_is,
    within=(1.0, np.inf),
    reads='logits',
  ),
)
