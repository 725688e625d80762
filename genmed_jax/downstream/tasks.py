"""Training a segmenter, and what predicts the Dice of its masks."""

import dataclasses
from pathlib import Path

import numpy as np

from genmed_jax.data.subjects import split_by_subject
from genmed_jax.downstream import dice_predictor, segmentation
from genmed_jax.downstream.dice_predictor import PredictorConfig
from genmed_jax.downstream.segmentation import SegmenterConfig
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.errors import UsageError
from genmed_jax.report import files
from genmed_jax.statistics.intervals import bootstrap_mean
from genmed_jax.training import task as run
from genmed_jax.training.batches import Batches, read_pictures
from genmed_jax.training.config import TrainingConfig

_COPIES = 3  # Degraded masks of each image that the predictor is tested on.


def train_segmenter(config: TrainingConfig) -> dict:
  """Learns masks; reports the Dice on subjects that were held out."""
  config = config.with_defaults(
    width=16,
    depth=4,
    norm='group',
    epochs=20,
    batch_size=16,
    learning_rate=2e-3,
    weight_decay=1e-4,
    patience=10,
  )
  made_of = SegmenterConfig(
    config.image_size, config.channels, config.width, config.depth, config.norm
  )
  source = run.open_images(config, config.train)
  subjects = run.subjects_of(config, source)
  parts = split_by_subject(subjects, run.SHARES, config.seed)
  files.check_writable(Path(config.output_dir))
  mesh = mesh_lib.data_mesh()
  pictures = read_pictures(
    source, config.image_size, config.channels, config.intensity, masks=True
  )
  fitted, validation, held_out = (pictures.take(part) for part in parts)
  batches = Batches(mesh, fitted._asdict(), config.batch_size, config.seed)
  learner = segmentation.SegmentationLearner(
    made_of, config.plan, config.epochs * len(batches), validation, mesh
  )
  folder = Path(config.output_dir) / 'training'
  found = run.fit(learner, batches, config, [source], folder)
  masks = segmentation.segmenting(learner.network, mesh)
  scores = {
    name: np.asarray(
      segmentation.dice(masks(found.state.weights, part.images), part.masks)
    )
    for name, part in (('validation', validation), ('held_out', held_out))
  }
  interval = bootstrap_mean(
    scores['held_out'], replicates=1000, seed=0, subjects=subjects[parts[2]]
  )
  report = {
    'images': [len(part) for part in parts],
    'validation_dice': float(scores['validation'].mean()),
    'held_out_dice': float(scores['held_out'].mean()),
    'held_out_dice_interval': interval[1:],
    'held_out_dice_quartiles': np.percentile(
      scores['held_out'], (25, 50, 75)
    ).tolist(),
  }
  manifest = {
    'config': made_of._asdict(),
    'intensity': config.intensity,
    'split': config.split,
    'subjects_sha256': run.fingerprint(source, subjects),
  }
  run.write(
    config,
    Path(config.output_dir),
    segmentation.KIND,
    found.state.weights,
    manifest,
    found.history,
    report,
  )
  return report


def train_dice_predictor(config: TrainingConfig) -> dict:
  """Learns how good masks are; reports its error on held-out subjects.

  Size, channels, intensities and the split are the segmenter's, so that what
  it has not seen the predictor has not seen either.

  Raises:
    UsageError: if there is no segmenter, or it was trained on other images.
  """
  config = config.with_defaults(
    width=64,
    layers=18,
    norm='batch',
    epochs=20,
    batch_size=32,
    learning_rate=1e-3,
    weight_decay=1e-4,
    patience=10,
  )
  if config.segmenter is None:
    raise UsageError("`task='dice_predictor'` needs `segmenter`")
  weights, manifest = run.loaded(config.segmenter, segmentation.KIND)
  sees = SegmenterConfig(**manifest['config'])
  split = manifest['split']
  config = dataclasses.replace(
    config,
    image_size=sees.size,
    channels=sees.channels,
    intensity=manifest['intensity'],
    subject_column=split['column'],
    subject_pattern=split['pattern'],
  )
  made_of = PredictorConfig(
    config.image_size,
    config.channels,
    config.layers,
    config.width,
    config.norm,
    config.mask_input,
  )
  source = run.open_images(config, config.train)
  subjects = run.subjects_of(config, source)
  if run.fingerprint(source, subjects) != manifest['subjects_sha256']:
    raise UsageError(
      f'`train={config.train!r}` is not the training set of '
      f'`segmenter={config.segmenter!r}`, so its held-out part is not known'
    )
  parts = split_by_subject(subjects, run.SHARES, split['seed'])
  files.check_writable(Path(config.output_dir))
  mesh = mesh_lib.data_mesh()
  pictures = read_pictures(
    source, config.image_size, config.channels, config.intensity, masks=True
  )
  segment = segmentation.segmenting(segmentation.segmenter(sees), mesh)
  found = segment(weights, pictures.images)
  arrays = pictures._asdict() | {'found': found}
  batches = Batches(
    mesh,
    {name: values[parts[0]] for name, values in arrays.items()},
    config.batch_size,
    config.seed,
  )
  validation, held_out = (
    dice_predictor.examples(
      *(values[part] for values in arrays.values()),
      part.astype(np.uint32),
      copies=_COPIES,
      mesh=mesh,
    )
    for part in parts[1:]
  )
  learner = dice_predictor.PredictionLearner(
    made_of, config.plan, config.epochs * len(batches), validation, mesh
  )
  folder = Path(config.output_dir) / 'training'
  fitted = run.fit(
    learner, batches, config, [source], folder, depends_on=manifest['sha256']
  )
  predict = dice_predictor.predicting(learner.network, made_of, mesh)
  guess = predict(fitted.state.weights, held_out.images, held_out.masks)
  report = {'images': [len(part) for part in parts]}
  report |= dice_predictor.accuracy(guess, held_out)
  run.write(
    config,
    Path(config.output_dir),
    dice_predictor.KIND,
    fitted.state.weights,
    {'config': made_of._asdict(), 'segmenter_sha256': manifest['sha256']},
    fitted.history,
    report,
  )
  return report
