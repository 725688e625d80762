"""The command that trains networks: what synthetic images are good for."""

import json
import sys

import jax

from genmed_jax.command.entry import Command
from genmed_jax.downstream.tasks import train_dice_predictor, train_segmenter
from genmed_jax.downstream.utility import train_classifier
from genmed_jax.generators import GENERATORS
from genmed_jax.generators.task import train_generator
from genmed_jax.training.config import TrainingConfig

TASKS = {
  'segmenter': train_segmenter,
  'dice_predictor': train_dice_predictor,
  'classifier': train_classifier,
  **dict.fromkeys(GENERATORS, train_generator),
}


def main(config: TrainingConfig) -> None:
  """Trains a network and prints its report."""
  report = TASKS[config.task](config)
  if jax.process_index() == 0:
    sys.stdout.write(json.dumps(report, indent=2) + '\n')


COMMAND = Command(
  name='train',
  about='Trains a segmenter, a predictor of the Dice of its masks, a '
  'classifier or a generator.',
  example='genmed train --task=segmenter --train=images_with_masks/ '
  '--output_dir=segmenter',
  config=TrainingConfig,
  main=main,
)
