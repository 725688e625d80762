"""Shows what each metric sees of controlled damage to real images.

python -m genmed_jax.sensitivity --reference=REAL
"""

import sys

from absl import flags
import jax

from genmed_jax import perturb
from genmed_jax.command import entry
from genmed_jax.engine import processes
from genmed_jax.study import run
from genmed_jax.study.design import Config
from genmed_jax.study.page import by_network, verdict_lines

flags.DEFINE_list(
  'families', ['all'], f'all, or of: {", ".join(perturb.FAMILIES)}.'
)
flags.DEFINE_multi_string(
  'levels',
  [],
  'FAMILY:LEVEL,LEVEL in place of the usual levels; may be repeated.',
)
flags.DEFINE_integer(
  'seeds',
  3,
  'Splits of the real images, each with draws of its own.',
  lower_bound=1,
)
flags.DEFINE_integer(
  'images',
  None,
  'In each set; a sixth of the real images if not given.',
  lower_bound=2,
)
flags.DEFINE_string(
  'subject_column',
  None,
  'Column that says whose an image is: no subject is in two sets.',
)
flags.DEFINE_string(
  'subject_pattern',
  None,
  'Regular expression that finds it in the name of the file: its first group.',
)
flags.DEFINE_string(
  'class_column', 'class', 'Column of the classes that collapse.'
)
flags.DEFINE_string(
  'scanner_column', 'scanner', 'Column of the scanners whose share shifts.'
)
flags.DEFINE_integer(
  'region_size',
  None,
  'Side in pixels of what is cut out about a region; what holds three in four '
  'if not given.',
  lower_bound=8,
)
flags.DEFINE_bool(
  'write_images', False, 'Write every perturbed set as a folder of PNGs.'
)


def main() -> None:
  """Runs the study that the flags describe and prints its verdicts."""
  processes.join()
  effects = run.study(entry.config(Config))
  if jax.process_index() == 0:
    for features, of_network in by_network(effects).items():
      lines = f'{features}:', *verdict_lines(of_network)
      sys.stdout.write('\n'.join(lines) + '\n')


if __name__ == '__main__':
  entry.run(main)
