"""Copies of training images, by their nearest neighbours."""

import numpy as np

from genmed_jax.engine.feature_set import FeatureSet, PIXELS
from genmed_jax.engine.kernel import on_feature_sets
from genmed_jax.engine.local_features import LocalFeatures
from genmed_jax.engine.nearest import (
  Nearest,
  nearest_neighbours,
  own_neighbours,
)
from genmed_jax.engine.views import NEIGHBOURS
from genmed_jax.errors import Undefined
from genmed_jax.metrics import neighbours
from genmed_jax.metrics.base import (
  Aspect,
  Column,
  Comparison,
  mean_of_images,
  Measured,
  Metric,
)
from genmed_jax.metrics.neighbours import moved
from genmed_jax.statistics.direction import Direction


@on_feature_sets
def authenticity(train: FeatureSet, y: FeatureSet) -> np.ndarray:
  r"""Authenticity of generated images: they are no copies of training images.

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
    nearest_neighbours(train, y),
    train.get(own_neighbours, k=1),
    max(train.resolution, y.resolution),
  )


def authenticity_of(
  to_train: Nearest, train: Nearest, resolution: float = 0.0
) -> np.ndarray:
  """:func:`authenticity` of neighbours that are already there.

  Args:
    to_train: ``nearest_neighbours(train, y)``.
    train: ``own_neighbours(train)``, any k.
    resolution: Distance within which features count as equal.
  """
  own = train.squared[to_train.index[:, 0], 0]
  return to_train.squared[:, 0] > moved(own, resolution)


def memorisation_index(
  to_train: np.ndarray, held_out: np.ndarray, *, resolution: float = 0.0
) -> tuple[np.ndarray, float]:
  r"""Nearness to a training image, in units of held-out real images.

  .. math:: I_j = \frac{\bar h - g_j}{s_h}

  with :math:`g_j` the distance of a generated image to its nearest training
  image, and :math:`\bar h, s_h` the mean and standard deviation of the same
  distance over held-out real images: a similarity, standardised.

  Args:
    to_train: Distances of generated images to the nearest training image,
      ``[m]``.
    held_out: The same of held-out real images, ``[t]``.
    resolution: Distance within which features count as equal.

  Returns:
    The index ``[m]``, and what 95 % of held-out images stay below, by more than
    the resolution: 5 % of honest images are above it.

  Raises:
    ValueError: if all held-out distances are equal, or 5 % of them within the
      resolution (``Undefined``).
  """
  copies = 100 * np.mean(held_out <= resolution) if len(held_out) else 0.0
  if copies >= 5:
    raise Undefined(
      f'{copies:.3g} % of held-out images are copies of training images'
    )
  deviation = np.std(held_out, ddof=1) if len(held_out) > 1 else 0.0
  if deviation == 0:
    raise Undefined('held-out images are all as far from training ones')
  index, own = (
    (held_out.mean() - distances) / deviation
    for distances in (to_train, held_out)
  )
  threshold = np.quantile(own, 0.95) + resolution / deviation
  return index, float(threshold)


def held_out_note(c: Comparison) -> tuple[str, ...]:
  """A note on where held-out images come from, if they were not given."""
  if c.test_given:
    return ()
  name = 'training images' if c.train_given else 'reference'
  return (f'a half of the {name} is held out',)


def _to_train(c: Comparison) -> Nearest:
  """The nearest training image of each generated one, ``[m, 1]``."""
  if c.train_given:
    return c.generated.get(_nearest_in, train=c.train)
  return c.get(neighbours.of_comparison).nearest_real


def _nearest_in(y: LocalFeatures, *, train: LocalFeatures) -> Nearest:
  """The nearest training image of each; of a part, as the whole set found."""
  if y.drawn is None:
    return nearest_neighbours(train, y)
  whole, places = y.drawn
  found = whole.get(_nearest_in, train=train)
  return Nearest(*(values[places] for values in found))


def _authentic(c: Comparison) -> np.ndarray:
  own = c.train.get(own_neighbours, k=NEIGHBOURS)
  return authenticity_of(c.get(_to_train), own, _resolution(c))


def _memorisation(c: Comparison) -> tuple[np.ndarray, float]:
  """Index of memorisation of each generated image, and its threshold.

  Without held-out images, every training image is one to the others.
  """
  if c.test_given:
    honest = nearest_neighbours(c.train, c.held_out[1])
  else:
    honest = c.train.get(own_neighbours, k=NEIGHBOURS)
  return memorisation_index(
    *(np.sqrt(each.squared[:, 0]) for each in (c.get(_to_train), honest)),
    resolution=_resolution(c),
  )


def _resolution(c: Comparison) -> float:
  return max(c.train.resolution, c.generated.resolution)


def _train_note(c: Comparison) -> tuple[str, ...]:
  if c.train_given:
    return ()
  return ('the reference stands for the training images',)


def _is_copy(c: Comparison) -> np.ndarray:
  """Whether a generated image has the pixels of a training image, ``[m]``."""
  train, made = (
    [pixels.tobytes() for pixels in each.output(PIXELS).to_host()]
    for each in (c.train, c.generated)
  )
  known = set(train)
  return np.array([pixels in known for pixels in made])


def _copies(c: Comparison) -> Measured:
  share = c.get(_is_copy).mean()
  # Training images are as they are: only which images were generated is chance.
  error = np.sqrt(share * (1 - share) / c.generated.count)
  return Measured(100 * float(share), 100 * float(error), _train_note(c))


def _authpct(c: Comparison) -> Measured:
  notes = _train_note(c)
  nearest = c.get(_to_train).squared[:, 0]
  near = np.sum(nearest <= _resolution(c) ** 2)
  has_pixels = all(PIXELS in each.outputs for each in (c.train, c.generated))
  if near and not (has_pixels and near == np.sum(c.get(_is_copy))):
    notes = (f'{near} near copies of training images', *notes)
  return mean_of_images(100.0 * c.get(_authentic), *notes)


def _memorised(c: Comparison) -> Measured:
  index, threshold = c.get(_memorisation)
  notes = ()
  if not c.test_given:
    notes = ('training images stand for held-out ones, each to the others',)
  return mean_of_images(100.0 * (index > threshold), *notes)


METRICS = (
  Metric(
    name='copies',
    aspect=Aspect.MEMORISATION,
    direction=Direction.LOWER,
    measure=_copies,
    within=(0.0, 100.0),
    share_of='generated',
    reads=PIXELS,
    columns=(Column('copy', lambda c: c.get(_is_copy).astype(int)),),
    headline=True,
  ),
  Metric(
    name='authpct',
    aspect=Aspect.MEMORISATION,
    direction=Direction.HIGHER,
    measure=_authpct,
    within=(0.0, 100.0),
    share_of='generated',
    columns=(
      Column('authentic', lambda c: c.get(_authentic).astype(int)),
      Column(
        'nearest_train_image',
        lambda c: c.get(_to_train).index[:, 0],
        indexes_train=True,
      ),
      Column(
        'nearest_train_distance',
        lambda c: np.sqrt(c.get(_to_train).squared[:, 0]),
      ),
    ),
    headline=True,
  ),
  Metric(
    name='memorised',
    aspect=Aspect.MEMORISATION,
    direction=Direction.LOWER,
    measure=_memorised,
    within=(0.0, 100.0),
    share_of='generated',
    columns=(Column('memorisation_index', lambda c: c.get(_memorisation)[0]),),
    headline=True,
  ),
)
