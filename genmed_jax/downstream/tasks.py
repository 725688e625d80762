"""What each task of ``genmed_jax.train`` does, from its flags to its files."""

from pathlib import Path

import numpy as np

from genmed_jax import mesh as mesh_lib
from genmed_jax import results
from genmed_jax.downstream import run, segmentation
from genmed_jax.downstream.pictures import Batches, read_pictures
from genmed_jax.downstream.run import Config
from genmed_jax.downstream.segmentation import SegmenterConfig
from genmed_jax.metrics.resampling import bootstrap_mean


def train_segmenter(config: Config) -> dict:
  """Learns masks; reports the Dice on subjects that were held out."""
  config = config.with_usual(
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
  parts = run.split(source, config)
  results.check_writable(Path(config.output_dir))
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
  interval = bootstrap_mean(scores['held_out'], replicates=1000, seed=0)
  report = {
    'images': [len(part) for part in parts],
    'validation_dice': float(scores['validation'].mean()),
    'held_out_dice': float(scores['held_out'].mean()),
    'held_out_dice_interval': interval[1:],
    'held_out_dice_quartiles': np.percentile(
      scores['held_out'], (25, 50, 75)
    ).tolist(),
  }
  manifest = {'config': made_of._asdict(), 'intensity': config.intensity}
  run.write(
    config,
    segmentation.KIND,
    found.state.weights,
    manifest,
    found.history,
    report,
  )
  return report


TASKS = {'segmenter': train_segmenter}
