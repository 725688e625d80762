"""The Dice of a segmenter's masks, predicted without the truth."""

import numpy as np

from genmed_jax.errors import Undefined
from genmed_jax.metrics.base import (
  Aspect,
  Column,
  Comparison,
  Measured,
  Metric,
)
from genmed_jax.statistics.direction import Direction

NAME = 'predicted_dice'


def _of_images(c: Comparison) -> np.ndarray:
  return c.generated.output(NAME).to_host()[:, 0].astype(np.float64)


def _predicted_dice(c: Comparison) -> Measured:
  values = _of_images(c)
  if len(values) < 2:
    raise Undefined('needs at least 2 images')
  error = np.std(values, ddof=1) / np.sqrt(len(values))
  return Measured(float(values.mean()), float(error))


METRICS = (
  Metric(
    name=NAME,
    aspect=Aspect.USEFULNESS,
    direction=Direction.HIGHER,
    measure=_predicted_dice,
    within=(0.0, 1.0),
    reads=NAME,
    columns=(Column(NAME, _of_images),),
    headline=True,
  ),
)
