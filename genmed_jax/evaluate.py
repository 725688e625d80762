"""Scores generated image sets against a reference set.

python -m genmed_jax.evaluate --reference=REAL --generated=SYNTHETIC
"""

import sys

from absl import flags
import jax

from genmed_jax.command import entry, run_flags
from genmed_jax.engine import processes
from genmed_jax.evaluation import run as evaluation
from genmed_jax.report import results

flags.DEFINE_multi_string(
  'generated',
  None,
  'Synthetic images, as [NAME=]SOURCE; may be repeated. SOURCE is '
  f'{run_flags.SOURCE}.',
  required=True,
)
flags.DEFINE_string(
  'train',
  None,
  'Images the generator was trained on, for memorisation; the reference if '
  'not given.',
)
flags.DEFINE_string(
  'test',
  None,
  'Real images the generator was not trained on, for likelihood and copying; '
  'a seeded half of the training images if not given.',
)
flags.DEFINE_string(
  'group_by',
  None,
  'Column to score group by group as well; class for the sub-folders.',
)
flags.DEFINE_string('generated_root', None, 'The same for generated manifests.')
flags.DEFINE_enum(
  'on_error',
  'fail',
  ['fail', 'skip'],
  'A file that cannot be used ends the run, or is left out and counted.',
)
flags.DEFINE_bool(
  'write_ids',
  False,
  'Write file names into samples_*.csv, beside the numbers.',
)


def main() -> None:
  """Runs the evaluation that the flags describe and prints its table."""
  processes.join()
  rows = evaluation.evaluate(entry.config(evaluation.Config))
  if jax.process_index() == 0:
    sys.stdout.write(results.table(rows) + '\n')


if __name__ == '__main__':
  entry.run(main)
