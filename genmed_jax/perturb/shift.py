"""Sets that are composed of other shares than real ones, or of new matter."""

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.engine.filters import gaussian_blur
from genmed_jax.errors import UsageError
from genmed_jax.perturb.base import ActsOn, Family, is_share, Needs, SHARES
from genmed_jax.perturb.operator import on_images


def mode_collapse(key, pool, classes, n: int, *, level) -> np.ndarray:
  """Draws a set that has lost its rarest class, and then its balance.

  With classes in shares of 40/40/20, level 1 draws 50/50/0 and level 2
  1:5:0: the rarest class is left out; the others are equally frequent, or
  every other is five times as frequent as the commonest.

  Args:
    key: Of the draw.
    pool: ``[p]``, what is drawn from, without replacement.
    classes: ``[p]``, the class of each.
    n: How many are drawn.
    level: 1 or 2.

  Returns:
    ``[n]`` entries of ``pool``.

  Raises:
    UsageError: if the pool has too few classes, or too few of one.
  """
  names, counts = np.unique(classes, return_counts=True)
  names = names[np.argsort(-counts, kind='stable')]
  if len(names) < 3:
    raise UsageError(
      f'mode_collapse needs three classes, there are {len(names)}'
    )
  ratios = np.ones(len(names) - 1)
  if level == 2:
    ratios[1:] = 5.0
  return _compose(key, pool, classes, names[:-1], ratios, n)


def density_shift(key, pool, scanners, n: int, *, level) -> np.ndarray:
  """Draws a set with another share of images from the first scanner.

  Args:
    key: Of the draw.
    pool: ``[p]``, what is drawn from, without replacement.
    scanners: ``[p]``, the scanner of each; the first in alphabetical order
      is the one whose share is set.
    n: How many are drawn.
    level: Its share in percent.

  Returns:
    ``[n]`` entries of ``pool``.

  Raises:
    UsageError: if there are not two scanners, or too few images of one.
  """
  names = np.unique(scanners)
  if len(names) != 2:
    raise UsageError(
      f'density_shift needs two scanners, there are {len(names)}'
    )
  return _compose(key, pool, scanners, names, [level, 100 - level], n)


def _compose(key, pool, labels, names, ratios, n: int) -> np.ndarray:
  """Draws ``n`` of a pool with labels in these ratios."""
  ends = np.round(n * np.cumsum(ratios) / np.sum(ratios)).astype(int)
  chosen = []
  for name, size in zip(names, np.diff(ends, prepend=0), strict=True):
    among = np.flatnonzero(np.asarray(labels) == name)
    if len(among) < size:
      raise UsageError(
        f'{size} images of {name} are needed, there are {len(among)} to draw '
        'from: lower `images`'
      )
    key, draw = jax.random.split(key)
    order = np.asarray(jax.random.permutation(draw, len(among)))
    chosen.append(among[order[:size]])
  return np.asarray(pool)[np.sort(np.concatenate(chosen))]


# Percentiles of the head between which grey and white matter are.
_DARKER, _BRIGHTER = (35.0, 65.0), (65.0, 97.0)
_BANDS = {
  't1': (_DARKER, _BRIGHTER),
  't2': (_BRIGHTER, _DARKER),
  'flair': (_BRIGHTER, _DARKER),
}


@on_images(static=('contrast',))
def mode_invention(
  key, image, *, level, contrast, grey=None, white=None, smooth=1.0
):
  """Makes a tissue contrast that no real image has.

  What lies in the grey band of intensities is raised and what lies in the
  white band lowered by ``level``, smoothly in space; then the image is
  brought back to the range it had.

  Args:
    key: Not used.
    image: ``[n, h, w]`` float32 in [0, 1].
    level: Change of intensity.
    contrast: Of the images: ``t1``, where white matter is brighter than grey;
      ``t2`` or ``flair``, where grey is.
    grey: Percentiles of the head between which grey matter is; the head is
      what is brighter than a tenth of the brightest. By default 35 to 65 if
      it is the darker one, else 65 to 97.
    white: The same for white matter.
    smooth: Standard deviation of the smoothing in pixels.
  """
  del key
  of_contrast = _BANDS[contrast]
  bands = [
    usual if given is None else given
    for given, usual in zip((grey, white), of_contrast, strict=True)
  ]
  low, high = image.min(), image.max()
  head = image > low + 0.1 * (high - low)
  among = jnp.where(head, image, jnp.nan)
  change = jnp.zeros_like(image)
  for band, sign in zip(bands, (1.0, -1.0), strict=True):
    ends = jnp.nanpercentile(among, jnp.stack(band))
    within = head & (image >= ends[0]) & (image < ends[1])
    change += sign * within
  changed = image + level * gaussian_blur(change, smooth)
  span = jnp.maximum(changed.max() - changed.min(), 1e-6)
  return low + (changed - changed.min()) * (high - low) / span


FAMILIES = (
  Family(
    name='mode_collapse',
    operator=mode_collapse,
    levels=(1, 2),
    acts_on=ActsOn.SET,
    needs=Needs.CLASS,
    accepts=lambda level: level in (1, 2),
    accepted='levels 1 and 2',
  ),
  Family(
    name='density_shift',
    operator=density_shift,
    levels=(10, 25, 75, 90),
    acts_on=ActsOn.SET,
    needs=Needs.SCANNER,
    severity=lambda level: abs(level - 50),
    accepts=is_share,
    accepted=SHARES,
  ),
  Family(
    name='mode_invention',
    operator=mode_invention,
    levels=(0.05, 0.07, 0.1),
    acts_on=ActsOn.IMAGE,
    choices={'contrast': tuple(_BANDS)},
  ),
)
