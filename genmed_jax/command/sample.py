"""The command that draws images from a trained generator."""

import dataclasses
from pathlib import Path

from genmed_jax.command.entry import Command
from genmed_jax.generators.task import write_images
from genmed_jax.options import option

_IMAGES = 'Images'


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleConfig:
  """Options of the command."""

  generator: str = option(help='Folder of its training.', group=_IMAGES)
  output_dir: str = option(
    help='Folder that the images are written to, as PNGs.', group=_IMAGES
  )
  count: int = option(500, help='Number of images.', group=_IMAGES, at_least=1)
  seed: int = option(
    0,
    help='Seed of the images: image i depends on it and on i alone.',
    group=_IMAGES,
    at_least=0,
    at_most=2**32 - 1,
  )


def main(config: SampleConfig) -> None:
  """Draws images into a folder."""
  write_images(
    Path(config.generator), config.count, config.seed, Path(config.output_dir)
  )


COMMAND = Command(
  name='sample',
  about='Draws images from a generator that `genmed train` has trained.',
  example='genmed sample --generator=genmed_jax_training --output_dir=images',
  config=SampleConfig,
  main=main,
)
