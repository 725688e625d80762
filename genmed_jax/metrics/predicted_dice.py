"""The Dice of a segmenter's masks, predicted without the truth."""

import numpy as np

from genmed_jax.metrics.base import (
  Aspect,
  Column,
  Comparison,
  Metric,
  Score,
  score_of_images,
)
from genmed_jax.statistics.direction import Direction

NAME = 'predicted_dice'


def _of_images(c: Comparison) -> np.ndarray:
  return c.generated.output(NAME).to_host()[:, 0].astype(np.float64)


def _predicted_dice(c: Comparison) -> Score:
  return score_of_images(c, _of_images(c))


METRICS = (
  Metric(
    name=NAME,
    aspect=Aspect.USEFULNESS,
    direction=Direction.HIGHER,
    measure=_predicted_dice,
    reads=NAME,
    columns=(Column(NAME, _of_images),),
    headline=True,
  ),
)
