"""The command that shows the response of metrics to controlled damage."""

import dataclasses
from pathlib import Path
import sys

import jax

from genmed_jax import options
from genmed_jax.command.entry import cache_dir, Command
from genmed_jax.errors import RunError
from genmed_jax.evaluation.config import OUTPUT
from genmed_jax.options import option
from genmed_jax.report.files import check_writable
from genmed_jax.study import run
from genmed_jax.study.design import StudyConfig
from genmed_jax.study.page import by_network, verdict_lines


@dataclasses.dataclass(frozen=True, kw_only=True)
class SensitivityConfig(StudyConfig):
  """Options of the command."""

  output_dir: str = option(
    'genmed_jax_results', help='Folder of the results.', group=OUTPUT
  )
  write_images: bool = option(
    False,
    help='Writes every perturbed set as a folder of PNGs.',
    group=OUTPUT,
  )


def main(config: SensitivityConfig) -> None:
  """Runs a study, prints its verdicts and writes its files."""
  folder = Path(config.output_dir)
  plan = run.prepare(
    dataclasses.replace(
      options.narrowed(config, StudyConfig),
      cache_dir=str(cache_dir(config.cache_dir)),
    )
  )
  check_writable(folder)
  study = plan.run()
  if all(row.value is None for row in study.rows):
    raise RunError('no metric is defined on sets of so few images')
  if jax.process_index() == 0:
    study.save(folder)
    if config.write_images:
      plan.write_images(folder / 'images')
    for features, effects in by_network(study.effects).items():
      lines = f'{features}:', *verdict_lines(effects)
      sys.stdout.write('\n'.join(lines) + '\n')
    sys.stdout.write(f'\nin words: {folder / "sensitivity.md"}\n')
  if study.failures:
    raise RunError('; '.join(study.failures))


COMMAND = Command(
  name='sensitivity',
  about='Shows what each metric sees of controlled damage to real images.',
  example='genmed sensitivity slices.csv --subject_column=subject '
  '--images=500 --features=inception_v3 --output_dir=study',
  config=SensitivityConfig,
  main=main,
  positional=('reference',),
)
