"""Does the generator copy its training images?"""

import numpy as np

from genmed_jax.metrics.neighbours import Neighbourhoods, neighbourhoods


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
    ValueError: if the widths differ or a set has fewer than two images.

  References:
    Alaa et al., 2022, section 3.3.
  """
  return authenticity_of(
    neighbourhoods(train, y, k=1, realism_k=1, mask_x=mask_train, mask_y=mask_y)
  )


def authenticity_of(found: Neighbourhoods) -> np.ndarray:
  """:func:`authenticity` of neighbourhoods, of any k, already there."""
  own = found.real.nearest_own[found.generated.nearest_index]
  return found.generated.nearest > own
