"""The segmenter and the Dice predictor as a network of features.

Images go through it as through any other: in batches over the devices, into
the feature cache, and on to the metrics.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from genmed_jax.data.source import Source
from genmed_jax.downstream import dice_predictor, segmentation
from genmed_jax.downstream.dice_predictor import PredictorConfig
from genmed_jax.downstream.segmentation import SegmenterConfig
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.errors import UsageError
from genmed_jax.networks import FeatureNetwork
from genmed_jax.networks.base import SEGMENTER
from genmed_jax.training import task as run
from genmed_jax.training.batches import network_input, read_pictures


def load(
  segmenter: str, predictor: str | None, *, intensity: str
) -> FeatureNetwork:
  """A segmenter's bottleneck, and the predicted Dice of its masks beside it.

  Args:
    segmenter: Folder of its training.
    predictor: The same of the Dice predictor; None for the bottleneck alone.
    intensity: Mapping of pixels to [0, 1] of the images to come.

  Raises:
    UsageError: if one is not there, they do not belong together, the
      predictor is no better than predicting the mean Dice of the segmenter's
      masks, or images are scaled in another way than those of the training.
  """
  weights, manifest = _segmenter(segmenter, intensity)
  config = SegmenterConfig(**manifest['config'])
  network = segmentation.segmenter(config)
  size = network_input(config.size)
  provenance = {
    'network': segmentation.KIND,
    'weights_sha256': manifest['sha256'],
    'preprocess': size._asdict(),
    'dtype': 'float32',
    'report': manifest['report'],
  }
  state, taps, judge = {'segmenter': weights}, ('bottleneck',), None
  if predictor is not None:
    judging, judged = run.loaded(predictor, dice_predictor.KIND)
    _check(predictor, judged, manifest)
    judge_config = PredictorConfig(**judged['config'])
    judge = dice_predictor.predictor(judge_config)
    state['predictor'] = judging
    taps += ('predicted_dice',)
    provenance['dice_predictor'] = {
      'weights_sha256': judged['sha256'],
      'report': judged['report'],
    }

  def apply(state, images):
    if config.channels == 1:
      images = images.mean(axis=-1, keepdims=True)
    found = network(state['segmenter'], images)
    outputs = {'bottleneck': found.bottleneck}
    if judge:
      masks = found.logits[..., 0] > 0
      scores = dice_predictor.predicted_dice(
        judge, judge_config, state['predictor'], images, masks
      )
      outputs['predicted_dice'] = scores[:, None]
    return {tap: jnp.float32(values) for tap, values in outputs.items()}

  return FeatureNetwork(
    name=f'{SEGMENTER}{segmenter}',
    tap='bottleneck',
    taps=taps,
    preprocess=size,
    apply=apply,
    state=state,
    provenance=provenance,
    notes={'predicted_dice': _trust(provenance)} if judge else {},
  )


def masking(
  segmenter: str, *, intensity: str
) -> Callable[[Source], Callable[[int], np.ndarray]]:
  """The masks that a segmenter finds: a source to ``read_mask`` of its images.

  Args:
    segmenter: Folder of its training.
    intensity: Mapping of pixels to [0, 1] of the images to come.

  Raises:
    UsageError: as of :func:`load`.
  """
  weights, manifest = _segmenter(segmenter, intensity)
  config = SegmenterConfig(**manifest['config'])
  mesh = mesh_lib.data_mesh(jax.local_devices())
  segment = segmentation.segmenting(segmentation.segmenter(config), mesh)

  def masks(source: Source) -> Callable[[int], np.ndarray]:
    pictures = read_pictures(
      source, config.size, config.channels, intensity, masks=False
    )
    found = segment(weights, pictures.images)

    def read_mask(i: int) -> np.ndarray:
      height, width = source.read(i).shape[:2]
      mask = Image.fromarray(found[i]).resize((width, height), Image.NEAREST)
      return np.asarray(mask)

    return read_mask

  return masks


def _segmenter(folder: str, intensity: str):
  weights, manifest = run.loaded(folder, segmentation.KIND)
  if intensity != manifest['intensity']:
    raise UsageError(
      f'the segmenter {folder} has seen images with '
      f'`intensity={manifest["intensity"]!r}`, not {intensity}'
    )
  return weights, manifest


def _check(predictor: str, judged: dict, manifest: dict) -> None:
  if judged['segmenter_sha256'] != manifest['sha256']:
    raise UsageError(
      f'`dice_predictor={predictor!r}` was trained for another segmenter'
    )
  found = judged['report']['own_masks']
  error, of_mean = found['mean_absolute_error'], found['error_of_the_mean']
  if error >= of_mean:
    raise UsageError(
      f'`dice_predictor={predictor!r}` is no better than predicting the mean '
      f'(an error of {error:.3f} against {of_mean:.3f} on masks that the '
      'segmenter made of held-out images), so it scores nothing: train it for '
      'longer or on more images'
    )


def _trust(provenance: dict) -> str:
  """The error of the predictor, as a note on a predicted Dice."""
  own = provenance['dice_predictor']['report']['own_masks']
  bound = provenance['dice_predictor']['report']['conformal_95']
  related = '' if own['pearson'] is None else f', r {own["pearson"]:.2f}'
  within = f', by less than {bound:.3f} on 95 % of them' if bound else ''
  return (
    f'the predictor is off by {own["mean_absolute_error"]:.3f} on held-out '
    f'real images, where predicting their mean is off by '
    f'{own["error_of_the_mean"]:.3f}{related}{within}'
  )
