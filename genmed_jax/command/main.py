"""The console script ``genmed COMMAND``."""

import importlib
import os
import sys

from genmed_jax import __version__

COMMANDS = {
  'evaluate': 'Score generated image sets against real images.',
  'sensitivity': 'Show what each metric sees of damage to real images.',
  'train': 'Train a segmenter, Dice predictor, classifier or generator.',
  'sample': 'Draw images from a trained generator.',
  'convert': 'Convert published network weights.',
}


def main() -> None:
  """Runs ``genmed COMMAND --flags``."""
  # A network of the user's own is found as `python -m` would find it.
  sys.path.insert(0, '')
  name, *arguments = sys.argv[1:] or ['--help']
  if name == '--version':
    sys.stdout.write(f'genmed_jax {__version__}\n')
  elif name in COMMANDS:
    run(name, arguments)
  elif name in ('--help', '-h', 'help'):
    sys.stdout.write(_help())
  else:
    sys.stderr.write(
      f'genmed: no command {name!r}; there are {", ".join(COMMANDS)}\n'
    )
    sys.exit(2)


def run(name: str, arguments: list[str] | None = None) -> None:
  """Runs a command by its name; see ``entry.run``."""
  # Read when numpy is imported. Threads of OpenBLAS that have nothing to do
  # would else hold their cores for 30 ms after every product, in turn with
  # those of XLA and of scipy's own OpenBLAS.
  os.environ.setdefault('OPENBLAS_THREAD_TIMEOUT', '4')
  from genmed_jax.command import entry

  module = importlib.import_module(f'genmed_jax.command.{name}')
  entry.run(module.COMMAND, arguments)


def _help() -> str:
  lines = [f'  {name:12} {about}' for name, about in COMMANDS.items()]
  return '\n'.join(
    [
      'Metrics of synthetic medical images.',
      '',
      'genmed COMMAND --help lists the flags of a command:',
      '',
      *lines,
      '',
    ]
  )
