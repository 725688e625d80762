"""Fits the networks that say what synthetic images are good for.

python -m genmed_jax.train --task=segmenter --train=IMAGES_WITH_MASKS
"""

import json
import sys

from absl import flags
import jax

from genmed_jax.command import entry
from genmed_jax.downstream.classification import SETTINGS
from genmed_jax.downstream.dice_predictor import MASK_INPUTS
from genmed_jax.downstream.labels import UNCERTAIN
from genmed_jax.downstream.tasks import train_dice_predictor, train_segmenter
from genmed_jax.downstream.utility import train_classifier
from genmed_jax.engine import processes
from genmed_jax.generators import GENERATORS
from genmed_jax.generators.task import train_generator
from genmed_jax.networks.normalisation import NORMS
from genmed_jax.training.task import Config

_TASKS = {
  'segmenter': train_segmenter,
  'dice_predictor': train_dice_predictor,
  'classifier': train_classifier,
  **dict.fromkeys(GENERATORS, train_generator),
}

_IMAGES = 'a folder, a .csv manifest, a .npz or phantom:brain?key=value'

flags.DEFINE_enum('task', None, list(_TASKS), 'What is trained.', required=True)
flags.DEFINE_string(
  'train', None, f'Images to train on: {_IMAGES}.', required=True
)
flags.DEFINE_string('generated', None, 'Synthetic images, for the classifier.')
flags.DEFINE_string('test', None, 'Real images the classifier is tested on.')
flags.DEFINE_string(
  'segmenter',
  None,
  'Folder of the segmenter whose masks the Dice predictor learns to judge.',
)
flags.DEFINE_enum(
  'mask_input',
  'channel',
  MASK_INPUTS,
  'How the Dice predictor sees a mask: as a channel of its own, or blended '
  'into the red one.',
)
flags.DEFINE_list(
  'label_columns',
  [],
  'Columns of 1, 0 and -1 that the classifier predicts; the classes of the '
  'column class if not given.',
)
flags.DEFINE_list(
  'settings',
  [],
  f'What the classifier is trained on, of {", ".join(SETTINGS)}; all if there '
  'are synthetic images.',
)
flags.DEFINE_enum(
  'uncertain',
  'negative',
  UNCERTAIN,
  'What a label of -1 counts as; none at all is negative.',
)
flags.DEFINE_string(
  'root', None, "Folder a manifest's paths are in; its own if not given."
)
flags.DEFINE_string('image_column', None, "A manifest's column of paths.")
flags.DEFINE_string(
  'intensity', 'dtype', 'How pixels are mapped to [0, 1], as of evaluate.'
)
flags.DEFINE_string(
  'subject_column',
  None,
  'Column that says whose an image is: nobody trains and is held out.',
)
flags.DEFINE_string(
  'subject_pattern',
  None,
  'Regular expression that finds it in the name of the file: its first group.',
)
flags.DEFINE_integer(
  'image_size', 128, 'Side to which images are brought.', lower_bound=16
)
flags.DEFINE_integer('channels', 1, '1 for greyscale, 3 for colour.')
flags.DEFINE_integer(
  'width', None, 'Channels of the first layers.', lower_bound=1
)
flags.DEFINE_integer(
  'depth', None, 'How often a U-Net halves its image.', lower_bound=1
)
flags.DEFINE_integer('layers', None, 'Of a ResNet: 18 or 50.')
flags.DEFINE_enum('norm', None, NORMS, 'Normalisation of the network.')
flags.DEFINE_integer('epochs', None, 'At most.', lower_bound=1)
flags.DEFINE_integer('batch_size', None, 'Images in a step.', lower_bound=1)
flags.DEFINE_float('learning_rate', None, 'The largest.', lower_bound=0.0)
flags.DEFINE_float('weight_decay', None, 'Of AdamW.', lower_bound=0.0)
flags.DEFINE_integer(
  'patience',
  None,
  'Epochs without a better validation after which training ends.',
  lower_bound=1,
)
flags.DEFINE_integer(
  'seed', 0, 'Of every draw.', lower_bound=0, upper_bound=2**32 - 1
)
flags.DEFINE_string(
  'output_dir',
  'genmed_jax_training',
  'Where the network, its checkpoints and its report are written.',
)


def main() -> None:
  """Trains what the flags describe and prints the report."""
  processes.join()
  config = entry.config(Config)
  report = _TASKS[config.task](config)
  if jax.process_index() == 0:
    sys.stdout.write(json.dumps(report, indent=2) + '\n')


if __name__ == '__main__':
  entry.run(main)
