"""How every entry point starts and how it ends when something is wrong."""

from collections.abc import Callable
import os
from pathlib import Path
import sys
from typing import NoReturn

from absl import app, flags, logging

_CACHE_DIR = flags.DEFINE_string(
  'cache_dir',
  None,
  'Features and converted weights; $GENMED_JAX_HOME, else '
  '~/.cache/genmed_jax, if not given.',
)


def run(main: Callable[[], None]) -> None:
  """Parses the flags, calls ``main`` and ends with an exit status.

  0 when done. 2 with one line when what the user gave cannot be used
  (``ValueError`` and unknown or malformed flags). 1 with one line when the
  run failed on the way (a file, a decoder, the disk). Anything else is a bug
  and keeps its traceback.
  """

  def guarded(argv: list[str]) -> None:
    if len(argv) > 1:
      _end(2, f'unexpected argument {argv[1]!r}: everything is a --flag')
    if not flags.FLAGS['verbosity'].present:
      # Libraries' accounts of their own doings are no news to a user.
      logging.set_verbosity(logging.WARNING)
    try:
      main()
    except ValueError as error:
      _end(2, error)
    except (OSError, RuntimeError) as error:
      _end(1, error)
    except KeyboardInterrupt:
      _end(130, 'interrupted; run again to resume')

  app.run(guarded, flags_parser=_parse)


def cache_dir() -> Path:
  """The folder ``--cache_dir`` names or stands for."""
  home = os.environ.get('GENMED_JAX_HOME')
  return Path(_CACHE_DIR.value or home or Path.home() / '.cache' / 'genmed_jax')


def _parse(argv: list[str]) -> list[str]:
  try:
    return flags.FLAGS(argv)
  except flags.Error as error:
    return _end(2, error)


def _end(status: int, message) -> NoReturn:
  line = ' '.join(str(message).split())
  sys.stderr.write(f'{Path(sys.argv[0]).stem}: {line}\n')
  sys.exit(status)
