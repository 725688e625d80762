"""The command that scores generated image sets against a reference set."""

import dataclasses
from pathlib import Path
import sys

import jax

from genmed_jax import options
from genmed_jax.command.entry import cache_dir, Command
from genmed_jax.errors import RunError
from genmed_jax.evaluation import run
from genmed_jax.evaluation.config import EvaluationConfig, OUTPUT
from genmed_jax.options import option
from genmed_jax.report.files import check_writable


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(EvaluationConfig):
  """Options of the command."""

  output_dir: str = option(
    'genmed_jax_results', help='Folder of the results.', group=OUTPUT
  )


def main(config: EvaluateConfig) -> None:
  """Runs an evaluation, prints its table and writes its files."""
  folder = Path(config.output_dir)
  plan = run.prepare(
    dataclasses.replace(
      options.narrowed(config, EvaluationConfig),
      cache_dir=str(cache_dir(config.cache_dir)),
    )
  )
  check_writable(folder)
  evaluation = plan.run()
  if all(row.value is None for row in evaluation.rows):
    notes = dict.fromkeys(note for row in evaluation.rows for note in row.note)
    raise RunError(f'no metric is defined: {"; ".join(notes)}')
  if jax.process_index() == 0:
    evaluation.save(folder)
    sys.stdout.write(f'{evaluation}\n\nresults are in {folder}\n')
  if evaluation.failures:
    raise RunError('; '.join(evaluation.failures))


COMMAND = Command(
  name='evaluate',
  about='Scores generated image sets against real images.',
  example='genmed evaluate real/ ours=samples/ theirs=other/ '
  '--features=inception_v3 --output_dir=results',
  config=EvaluateConfig,
  main=main,
  positional=('reference', 'generated'),
)
