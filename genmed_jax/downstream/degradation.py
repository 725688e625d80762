"""Masks made worse, by known amounts, so that their Dice is known."""

import jax
import jax.numpy as jnp

from genmed_jax.downstream.segmentation import dice
from genmed_jax.engine.filters import gaussian_blur

_CANDIDATES = 4  # Degraded masks of which the one nearest to a Dice is kept.


def degrade_evenly(keys, masks, truth):
  """Degraded masks whose Dice with the truth is spread over the whole range.

  A Dice is drawn evenly from [0, 1] for each, and of several degraded masks
  the one that comes nearest to it is kept.

  Args:
    keys: ``[b]``.
    masks: ``[b, h, w]`` bool, what is degraded.
    truth: ``[b, h, w]`` bool, what the Dice is with.

  Returns:
    Masks ``[b, h, w]`` bool and their Dice ``[b]`` float32.
  """
  return jax.vmap(_nearest_to_a_dice)(keys, masks, truth)


def _nearest_to_a_dice(key, mask, truth):
  aim, key = jax.random.split(key)
  keys = jax.random.split(key, _CANDIDATES)
  made = jax.vmap(degrade, (0, None))(keys, mask)
  scores = dice(made, truth)
  best = jnp.argmin(jnp.abs(scores - jax.random.uniform(aim)))
  return made[best], scores[best]


def degrade(key, mask):
  """One mask, degraded in ways and to degrees that are drawn.

  Each way is taken in half of the cases: the region is shifted, by up to two
  and a half of its radii; a part of it is cut off along a line; another region
  appears; and what is left is smoothed, with a threshold that erodes or
  dilates it, and frayed by smooth noise.

  Args:
    key: Of the draw.
    mask: ``[h, w]`` bool.

  Returns:
    ``[h, w]`` bool.
  """
  ways, where, grain = jax.random.split(key, 3)
  shifted, cut, added, smoothed, frayed = jax.random.bernoulli(ways, 0.5, (5,))
  draws = jax.random.uniform(where, (10,))
  side = max(mask.shape)
  rows, columns = jnp.indices(mask.shape, jnp.float32)
  area = mask.sum()
  radius = jnp.where(area > 0, jnp.sqrt(area / jnp.pi), 0.08 * side)
  weight = mask / jnp.maximum(area, 1)
  centre = jnp.sum(weight * rows), jnp.sum(weight * columns)

  angle = 2 * jnp.pi * draws[0]
  direction = jnp.sin(angle), jnp.cos(angle)
  depth = (rows - centre[0]) * direction[0]
  depth += (columns - centre[1]) * direction[1]
  inside = depth < radius * (2 * draws[1] - 1)
  mask = mask & (inside | ~cut)

  other = draws[2] * mask.shape[0], draws[3] * mask.shape[1]
  reach = radius * (0.3 + 1.2 * draws[4])
  blob = jnp.hypot(rows - other[0], columns - other[1]) < reach
  mask = mask | (blob & added)

  step = 2.5 * radius * (2 * draws[5:7] - 1) * shifted
  mask = _shift(mask, step)

  sigma = jnp.where(smoothed, 0.5 + 0.4 * radius * draws[7], 0.3)
  level = jnp.where(smoothed, 0.1 + 0.8 * draws[8], 0.5)
  noise = gaussian_blur(jax.random.normal(grain, mask.shape), 2.0)
  noise *= frayed * draws[9] / jnp.maximum(noise.std(), 1e-6)
  soft = gaussian_blur(mask.astype(jnp.float32), sigma)
  # Noise frays edges; it makes no region where there is none near.
  near = gaussian_blur(mask.astype(jnp.float32), sigma + 2.0) > 0.05
  return (soft + 0.3 * noise > level) & near


def _shift(mask, step):
  """Moved by whole pixels; what comes from outside is empty."""
  pad = max(mask.shape)
  padded = jnp.pad(mask, pad)
  start = pad - jnp.clip(jnp.round(step).astype(int), -pad, pad)
  return jax.lax.dynamic_slice(padded, (start[0], start[1]), mask.shape)
