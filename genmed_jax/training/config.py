"""Options of a training."""

import dataclasses

from genmed_jax.data.formats import IMAGE_COLUMNS
from genmed_jax.networks.layers import NORMS
from genmed_jax.options import option
from genmed_jax.training.loop import TrainingPlan

TASKS = ('segmenter', 'dice_predictor', 'classifier', 'vae', 'gan', 'ddpm')
MASK_INPUTS = ('channel', 'blend')
UNCERTAIN = ('negative', 'positive', 'ignore')
# Images that a classifier is trained on, as CheXGenBench has them.
SETTINGS = ('all_original', 'all_synthetic', 'mixed', 'augmented')

_IMAGES = 'Images'
_NETWORK = 'Network'
_TRAINING = 'Training'
_OUTPUT = 'Files'


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
  """Options of a training; None stands for the task's default."""

  task: str = option(help='Network to train.', group=_TRAINING, choices=TASKS)
  train: str = option(
    help='Images to train on: a folder, a .csv manifest, a .npz or '
    'phantom:NAME?key=value.',
    group=_IMAGES,
  )
  generated: str | None = option(
    None, help='Synthetic images, for the classifier.', group=_IMAGES
  )
  test: str | None = option(
    None,
    help='Real images the classifier is tested on. By default a part of the '
    'training images is held out.',
    group=_IMAGES,
  )
  root: str | None = option(
    None,
    help="Folder that a manifest's paths are relative to. By default its own.",
    group=_IMAGES,
  )
  image_column: str | None = option(
    None,
    help="A manifest's column of paths. By default the first of "
    f'{", ".join(IMAGE_COLUMNS)}.',
    group=_IMAGES,
  )
  intensity: str = option(
    'dtype',
    help='Mapping of pixel values to [0, 1], as of evaluate.',
    group=_IMAGES,
  )
  subject_column: str | None = option(
    None,
    help='Column of the subject of an image: no subject both trains and is '
    'held out.',
    group=_IMAGES,
  )
  subject_pattern: str | None = option(
    None,
    help='Regular expression that finds the subject in a file name: its first '
    'group, or the whole match.',
    group=_IMAGES,
  )
  image_size: int = option(
    128,
    help='Side in pixels that images are resized to.',
    group=_IMAGES,
    at_least=16,
  )
  channels: int = option(
    1, help='1 for greyscale, 3 for colour.', group=_IMAGES
  )
  label_columns: tuple[str, ...] = option(
    (),
    help='Columns of 1, 0 and -1 that the classifier predicts. By default the '
    'classes of the column class.',
    group=_IMAGES,
  )
  uncertain: str = option(
    'negative',
    help='Meaning of a label of -1; an empty one is negative.',
    group=_IMAGES,
    choices=UNCERTAIN,
  )
  width: int | None = option(
    None, help='Channels of the first layers.', group=_NETWORK, at_least=1
  )
  depth: int | None = option(
    None,
    help='Number of times that a U-Net halves its image.',
    group=_NETWORK,
    at_least=1,
  )
  layers: int | None = option(
    None, help='Layers of a ResNet, 18 or 50.', group=_NETWORK
  )
  norm: str | None = option(
    None, help='Normalisation layers.', group=_NETWORK, choices=NORMS
  )
  segmenter: str | None = option(
    None,
    help='Folder of the segmenter whose masks the Dice predictor learns to '
    'judge.',
    group=_NETWORK,
  )
  mask_input: str = option(
    'channel',
    help="The Dice predictor's view of a mask: a channel of its own, or "
    'blended into the red one.',
    group=_NETWORK,
    choices=MASK_INPUTS,
  )
  settings: tuple[str, ...] = option(
    (),
    help=f'Images the classifier is trained on, of {", ".join(SETTINGS)}. By '
    'default all of them if there are synthetic images.',
    group=_TRAINING,
  )
  epochs: int | None = option(
    None,
    help='Largest number of epochs.',
    group=_TRAINING,
    at_least=1,
    at_most=1_000_000,
  )
  batch_size: int | None = option(
    None, help='Images in a step.', group=_TRAINING, at_least=1
  )
  learning_rate: float | None = option(
    None,
    help='Peak learning rate of the warm-up and cosine schedule.',
    group=_TRAINING,
    at_least=0.0,
  )
  weight_decay: float | None = option(
    None, help='Weight decay of AdamW.', group=_TRAINING, at_least=0.0
  )
  patience: int | None = option(
    None,
    help='Epochs without a better validation after which training ends.',
    group=_TRAINING,
    at_least=1,
  )
  seed: int = option(
    0,
    help='Seed of every random choice (split, weights, order, augmentation).',
    group=_TRAINING,
    at_least=0,
    at_most=2**32 - 1,
  )
  output_dir: str = option(
    'genmed_jax_training',
    help='Folder of the network, its checkpoints and its report.',
    group=_OUTPUT,
  )

  def with_defaults(self, **defaults) -> 'TrainingConfig':
    """The config with ``defaults`` in the place of what was not given."""
    given = {k: v for k in defaults if (v := getattr(self, k)) is not None}
    return dataclasses.replace(self, **(defaults | given))

  @property
  def split(self) -> dict:
    """The split of images by subject: names of subjects, and the seed."""
    return {
      'column': self.subject_column,
      'pattern': self.subject_pattern,
      'seed': self.seed,
    }

  @property
  def plan(self) -> TrainingPlan:
    """Length and speed of the training."""
    return TrainingPlan(
      self.epochs,
      self.batch_size,
      self.learning_rate,
      self.weight_decay,
      self.patience or self.epochs,
      self.seed,
    )
