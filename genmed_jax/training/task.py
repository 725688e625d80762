"""Steps that all trainings share: images, subjects, the loop, the files."""

import dataclasses
import hashlib
import json
from pathlib import Path

import jax
import numpy as np

from genmed_jax import options
from genmed_jax.data import versions
from genmed_jax.data.formats import open_source
from genmed_jax.data.source import Source
from genmed_jax.data.subjects import find_subjects
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.errors import UsageError
from genmed_jax.report import files
from genmed_jax.report.provenance import environment
from genmed_jax.training import checkpoints
from genmed_jax.training import loop as training
from genmed_jax.training.batches import Batches
from genmed_jax.training.config import TrainingConfig
from genmed_jax.training.functional import Weights
from genmed_jax.training.loop import Trained

# Shares of the images that train, validate and are held out for the report.
SHARES = (0.7, 0.15, 0.15)

# The name, and the folder, of the pair that comes with the package.
SHIPPED = 'phantom'
_DOWNSTREAM = Path(__file__).parents[1] / 'downstream'


def open_images(config: TrainingConfig, text: str) -> Source:
  """A source of images.

  Raises:
    UsageError: if it cannot be used, or holds features.
  """
  source = open_source(text, root=config.root, image_column=config.image_column)
  if not isinstance(source, Source):
    raise UsageError(f'{text} holds features: networks are trained on images')
  return source


def subjects_of(config: TrainingConfig, source: Source) -> np.ndarray:
  """Subjects of the images of a source, ``[n]``.

  Raises:
    UsageError: if they cannot be told.
  """
  return find_subjects(source, config.subject_column, config.subject_pattern)


def fingerprint(source: Source, subjects: np.ndarray) -> str:
  """A digest of the images of a source and of their subjects."""
  digest = hashlib.sha256()
  for name, subject in zip(source.ids, subjects, strict=True):
    digest.update(f'{name}\0{subject}\0'.encode(errors='surrogateescape'))
  return digest.hexdigest()


def fit(
  learner,
  batches: Batches,
  config: TrainingConfig,
  sources: list[Source],
  folder: Path,
  *,
  depends_on: str = '',
) -> Trained:
  """Trains under ``folder``, or goes on where a training there was cut off.

  Args:
    learner: The model.
    batches: Its training images.
    config: The options.
    sources: Of all images that have a part in it.
    folder: Of the checkpoints.
    depends_on: Whatever else has a part in it: a network's digest, a setting.
  """
  content = [source.digest(range(len(source))) for source in sources]
  elsewhere = ('output_dir', 'settings')
  flags = dataclasses.asdict(config)
  flags = {name: flags[name] for name in flags if name not in elsewhere}
  steps = batches.size, jax.process_count()
  described = json.dumps([versions.TRAINING, flags, steps, content, depends_on])
  return training.fit(
    learner,
    batches,
    config.plan,
    folder,
    mesh_lib.data_mesh(),
    described=hashlib.sha256(described.encode()).hexdigest() + '\n',
  )


def write(
  config: TrainingConfig,
  folder: Path,
  kind: str,
  of: Weights,
  manifest: dict,
  history: list[dict],
  report: dict,
) -> None:
  """Writes a trained network, its curve and its report; process 0 does."""
  if jax.process_index() > 0:
    return
  checkpoints.save_network(
    folder / 'network', kind, of, manifest | {'report': report}
  )
  columns = list(history[0])
  files.write(
    folder,
    {
      'history.csv': files.csv_text(
        columns, [[line[c] for c in columns] for line in history]
      ),
      'run.flags': options.flag_file(config),
      'report.json': json.dumps(
        {
          'provenance': environment() | {'flags': dataclasses.asdict(config)},
          'report': report,
        },
        indent=2,
      )
      + '\n',
    },
  )


def loaded(text: str, kind: str) -> tuple[Weights, dict]:
  """A network from the folder of its training.

  Args:
    text: The folder, or :data:`SHIPPED`.
    kind: Its task.

  Raises:
    UsageError: if there is none.
  """
  if text == SHIPPED:
    return checkpoints.load_network(_DOWNSTREAM / SHIPPED / kind, kind)
  return checkpoints.load_network(Path(text) / 'network', kind)
