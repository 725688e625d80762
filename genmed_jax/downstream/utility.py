"""The classifier's task: a training per setting, one table of scores."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from genmed_jax.data.source import Source
from genmed_jax.data.subjects import split_by_subject
from genmed_jax.downstream import classification
from genmed_jax.downstream.classification import (
  chosen,
  ClassificationLearner,
  ClassifierConfig,
)
from genmed_jax.downstream.classification_scores import classification_scores
from genmed_jax.downstream.labels import multi_labels, one_hot
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.errors import UsageError
from genmed_jax.report import files
from genmed_jax.training import task as run
from genmed_jax.training.batches import Batches, read_pictures
from genmed_jax.training.config import SETTINGS, TrainingConfig

# Of real images, that train and that say when to stop, beside a test set.
_SHARES = (0.85, 0.15)


def train_classifier(config: TrainingConfig) -> dict:
  """Trains under every setting and tests on the same real images.

  Args:
    config: ``train`` are the real images, ``generated`` the synthetic ones
      and ``test`` the real ones that nothing is trained on; without them a
      part of ``train`` is held out, by subject.

  Returns:
    ``classification_scores`` of every setting.
  """
  config = config.with_defaults(
    width=64,
    layers=50,
    norm='batch',
    epochs=20,
    batch_size=32,
    learning_rate=1e-4,
    weight_decay=1e-5,
  )
  settings = _settings(config)
  real = run.open_images(config, config.train)
  made = run.open_images(config, config.generated) if config.generated else None
  subjects = run.subjects_of(config, real)
  if config.test:
    fitted, validation = split_by_subject(subjects, _SHARES, config.seed)
    held_out = run.open_images(config, config.test)
    _check_apart(config, real, subjects, held_out)
  else:
    fitted, validation, tested = split_by_subject(
      subjects, run.SHARES, config.seed
    )
    held_out = real.take(tested)
  sources = {
    'original': real.take(fitted),
    'validation': real.take(validation),
    'test': held_out,
  }
  if made:
    sources['synthetic'] = made
  classes, labels = _labels(sources, config)
  output_dir = Path(config.output_dir)
  files.check_writable(output_dir)
  images = {
    name: read_pictures(
      source,
      config.image_size,
      config.channels,
      config.intensity,
      masks=False,
    ).images
    for name, source in sources.items()
  }
  made_of = ClassifierConfig(
    config.image_size,
    config.channels,
    config.layers,
    config.width,
    config.norm,
    classes,
  )
  report = {}
  for setting in settings:
    report[setting] = _train(
      config, made_of, setting, images, labels, list(sources.values())
    )
  return report


def _check_apart(
  config: TrainingConfig, real: Source, subjects: np.ndarray, held_out: Source
) -> None:
  """Raises if test images, or their subjects, are known to train."""
  both = real, held_out
  if len({source.digest(range(len(source))) for source in both}) == 1:
    raise UsageError('`test` holds the images of `train`')
  if config.subject_column or config.subject_pattern:
    shared = np.intersect1d(subjects, run.subjects_of(config, held_out))
    if len(shared):
      raise UsageError(
        f'`test` holds images of {len(shared)} subjects of `train`'
      )


def _settings(config: TrainingConfig) -> tuple[str, ...]:
  if config.settings and (unknown := set(config.settings) - set(SETTINGS)):
    raise UsageError(
      f'`settings`: unknown {sorted(unknown)[0]!r}; there are '
      f'{", ".join(SETTINGS)}'
    )
  default = SETTINGS if config.generated else SETTINGS[:1]
  settings = config.settings or default
  if not config.generated and settings != ('all_original',):
    raise UsageError('`settings` beyond all_original need `generated`')
  return settings


def _labels(sources: dict[str, Source], config: TrainingConfig):
  """Names of the classes, and labels ``[n, k]`` of every source."""
  if config.label_columns:
    return config.label_columns, {
      name: multi_labels(source, config.label_columns, config.uncertain)
      for name, source in sources.items()
    }
  return one_hot(sources)


def _train(config, made_of, setting, images, labels, sources) -> dict:
  """Trains under one setting; its scores on the test images."""
  mesh = mesh_lib.data_mesh()
  count = len(images.get('synthetic', ()))
  items = dict(
    zip(
      ('original', 'synthetic'),
      chosen(setting, len(images['original']), count, config.seed),
      strict=True,
    )
  )
  arrays = {
    name: np.concatenate(
      [of[kind][at] for kind, at in items.items() if len(at)]
    )
    for name, of in (('images', images), ('labels', labels))
  }
  learner = ClassificationLearner(
    made_of, config.plan, (images['validation'], labels['validation']), mesh
  )
  batches = Batches(mesh, arrays, config.batch_size, config.seed)
  folder = Path(config.output_dir) / setting
  found = run.fit(
    learner, batches, config, sources, folder / 'training', depends_on=setting
  )
  logits = learner.logits(found.state.weights, images['test'])
  probabilities = np.asarray(jax.nn.sigmoid(jnp.asarray(logits)))
  report = {
    'images': {name: len(at) for name, at in items.items()},
    'tested_on': len(probabilities),
  } | classification_scores(probabilities, labels['test'], made_of.classes)
  run.write(
    config,
    folder,
    classification.KIND,
    found.state.weights,
    {'config': made_of._asdict(), 'intensity': config.intensity},
    found.history,
    report,
  )
  return report
