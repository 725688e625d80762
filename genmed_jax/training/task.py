"""What trainings are told, and what they all leave behind."""

import dataclasses
import hashlib
import json
from pathlib import Path

import jax
import numpy as np

from genmed_jax.data import versions
from genmed_jax.data.source import Source
from genmed_jax.data.sources import open_source
from genmed_jax.data.subjects import subjects
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.errors import UsageError
from genmed_jax.report import results
from genmed_jax.training import loop as training
from genmed_jax.training import trained
from genmed_jax.training.batches import Batches
from genmed_jax.training.loop import Plan, Trained
from genmed_jax.training.trained import Weights

# Shares of the images that train, that say when to stop, and that are held
# out for the report.
SHARES = (0.7, 0.15, 0.15)

# The name, and the folder, of the pair that comes with the package.
SHIPPED = 'phantom'
_DOWNSTREAM = Path(__file__).parents[1] / 'downstream'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """What a training does: the flags of ``genmed_jax.train``.

  None stands for what is usual for the task.
  """

  task: str
  train: str
  generated: str | None = None
  test: str | None = None
  root: str | None = None
  image_column: str | None = None
  intensity: str = 'dtype'
  subject_column: str | None = None
  subject_pattern: str | None = None
  image_size: int = 128
  channels: int = 1
  width: int | None = None
  depth: int | None = None
  layers: int | None = None
  norm: str | None = None
  segmenter: str | None = None
  mask_input: str = 'channel'
  label_columns: tuple[str, ...] = ()
  settings: tuple[str, ...] = ()
  uncertain: str = 'negative'
  epochs: int | None = None
  batch_size: int | None = None
  learning_rate: float | None = None
  weight_decay: float | None = None
  patience: int | None = None
  seed: int = 0
  cache_dir: str = '.'
  output_dir: str = 'genmed_jax_training'

  def with_usual(self, **usual) -> 'Config':
    """The config with ``usual`` in the place of what was not given."""
    given = {k: v for k in usual if (v := getattr(self, k)) is not None}
    return dataclasses.replace(self, **(usual | given))

  @property
  def split(self) -> dict:
    """How images are dealt to parts: whose they are, and the seed."""
    return {
      'column': self.subject_column,
      'pattern': self.subject_pattern,
      'seed': self.seed,
    }

  @property
  def plan(self) -> Plan:
    """How long and how fast is trained."""
    return Plan(
      self.epochs,
      self.batch_size,
      self.learning_rate,
      self.weight_decay,
      self.patience or self.epochs,
      self.seed,
    )


def open_images(config: Config, text: str) -> Source:
  """A source of images.

  Raises:
    UsageError: if it cannot be used, or holds features.
  """
  source = open_source(text, root=config.root, image_column=config.image_column)
  if not isinstance(source, Source):
    raise UsageError(f'{text} holds features: networks are trained on images')
  return source


def subjects_of(config: Config, source: Source) -> np.ndarray:
  """Whose image each of a source is, ``[n]``, as the flags say.

  Raises:
    UsageError: if they cannot be told.
  """
  return subjects(source, config.subject_column, config.subject_pattern)


def fingerprint(source: Source, whose: np.ndarray) -> str:
  """A digest of which images a source has, and whose they are."""
  digest = hashlib.sha256()
  for name, subject in zip(source.ids, whose, strict=True):
    digest.update(f'{name}\0{subject}\0'.encode(errors='surrogateescape'))
  return digest.hexdigest()


def fit(
  learner,
  batches: Batches,
  config: Config,
  sources: list[Source],
  folder: Path,
  *,
  depends_on: str = '',
) -> Trained:
  """Trains under ``folder``, or goes on where a training there was cut off.

  Args:
    learner: What is trained.
    batches: What it is trained on.
    config: How.
    sources: Of all images that have a part in it.
    folder: Of the checkpoints.
    depends_on: What else has a part in it: a network's digest, a setting.
  """
  content = [source.digest(range(len(source))) for source in sources]
  elsewhere = ('cache_dir', 'output_dir', 'settings')
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
  config: Config,
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
  trained.save(folder / 'network', kind, of, manifest | {'report': report})
  columns = list(history[0])
  results.write(
    folder,
    {
      'history.csv': results.csv_text(
        columns, [[line[c] for c in columns] for line in history]
      ),
      'run.flags': results.flag_file(config),
      'report.json': json.dumps(
        {
          'provenance': results.environment()
          | {'flags': dataclasses.asdict(config)},
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
    kind: What it must be.

  Raises:
    UsageError: if there is none.
  """
  if text == SHIPPED:
    return trained.load(_DOWNSTREAM / SHIPPED / kind, kind)
  return trained.load(Path(text) / 'network', kind)
