"""Draws images from a generator that ``genmed_jax.train`` has trained.

python -m genmed_jax.sample --generator=FOLDER --output_dir=IMAGES
"""

from pathlib import Path

from absl import flags

from genmed_jax.command import entry
from genmed_jax.engine import processes
from genmed_jax.generators.task import write_images

_GENERATOR = flags.DEFINE_string(
  'generator', None, 'Folder of its training.', required=True
)
_COUNT = flags.DEFINE_integer('count', 500, 'How many images.', lower_bound=1)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Of the images.', lower_bound=0, upper_bound=2**32 - 1
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'Where they are written as PNGs.', required=True
)


def main() -> None:
  """Draws what the flags ask for."""
  processes.join()
  write_images(
    Path(_GENERATOR.value), _COUNT.value, _SEED.value, Path(_OUTPUT_DIR.value)
  )


if __name__ == '__main__':
  entry.run(main)
