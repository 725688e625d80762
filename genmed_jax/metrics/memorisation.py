"""Does the generator copy its training images?"""

import numpy as np

from genmed_jax.engine.nearest import (
  Nearest,
  nearest_neighbours,
  own_neighbours,
)
from genmed_jax.engine.rows import TooFewImages


def authenticity(train, y, *, mask_train=None, mask_y=None) -> np.ndarray:
  r"""Which generated images are authentic, not copies of a training image.

  A generated image is authentic if it is further from its nearest training
  image than that image is from its own nearest training neighbour:

  .. math::
    A_j = [\,\|y_j - t_{i}\| > \min_{l \ne i} \|t_i - t_l\|\,], \quad
    i = \arg\min_i \|y_j - t_i\|.

  AuthPct is 100 times the mean. An exact copy is never authentic, nor is
  anything near a training image that stands alone.

  Args:
    train: Features of the training images, ``[n, d]``.
    y: Generated features, ``[m, d]``.
    mask_train: ``[n]``, nonzero for rows that count; all rows if None.
    mask_y: ``[m]``.

  Returns:
    ``[m]`` bool; higher is better. Meaningful only against the images the
    generator was trained on.

  Raises:
    ValueError: if the widths differ, a feature is not finite or a set has
      fewer than two images.

  References:
    Alaa et al., 2022, section 3.3.
  """
  return authenticity_of(
    nearest_neighbours(train, y, mask_x=mask_train, mask_y=mask_y),
    own_neighbours(train, k=1, mask=mask_train),
  )


def authenticity_of(to_train: Nearest, train: Nearest) -> np.ndarray:
  """:func:`authenticity` of neighbours that are already there.

  Args:
    to_train: ``nearest_neighbours(train, y)``.
    train: ``own_neighbours(train)``, any k.
  """
  own = train.squared[to_train.index[:, 0], 0]
  return to_train.squared[:, 0] > own


def memorisation_index(to_train: np.ndarray, held_out: np.ndarray):
  r"""How much nearer to a training image than a held-out real image is.

  .. math:: I_j = \frac{\bar h - g_j}{s_h}

  with :math:`g_j` the distance of a generated image to its nearest training
  image, and :math:`\bar h, s_h` the mean and standard deviation of the same
  distance over held-out real images: a similarity, standardised.

  Args:
    to_train: Distances of generated images to the nearest training image,
      ``[m]``.
    held_out: The same of held-out real images, ``[t]``.

  Returns:
    The index ``[m]``, and what 95 % of held-out images stay below: 5 % of
    honest images are above it.

  Raises:
    ValueError: if all held-out distances are equal (``TooFewImages``).
  """
  deviation = np.std(held_out, ddof=1) if len(held_out) > 1 else 0.0
  if deviation == 0:
    raise TooFewImages('held-out images are all as far from training ones')
  index, own = (
    (held_out.mean() - distances) / deviation
    for distances in (to_train, held_out)
  )
  return index, float(np.quantile(own, 0.95))
