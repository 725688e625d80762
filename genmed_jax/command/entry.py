"""How every entry point starts and how it ends when something is wrong."""

from collections.abc import Callable
import dataclasses
import os
from pathlib import Path
import platform
import sys
from typing import NoReturn
import warnings

from absl import app, flags, logging
import jax

from genmed_jax.engine import processes
from genmed_jax.errors import UsageError

# What disks, decoders, devices and numbers do on a bad day.
_FAILURES = (OSError, RuntimeError, ValueError, MemoryError, OverflowError)

_CACHE_DIR = flags.DEFINE_string(
  'cache_dir',
  None,
  'Features and converted weights; $GENMED_JAX_HOME, else '
  '~/.cache/genmed_jax, if not given.',
)


def run(main: Callable[[], None]) -> None:
  """Parses the flags, calls ``main`` and ends with an exit status.

  0 when done. 2 with one line when what the user gave cannot be used
  (``UsageError`` and unknown or malformed flags). 1 with one line when the
  run failed on the way; ``--verbosity=1`` shows where. Anything not foreseen
  as a failure is a bug and keeps its traceback.
  """

  def guarded(argv: list[str]) -> None:
    _keep_programs()
    if len(argv) > 1:
      _end(2, f'unexpected argument {argv[1]!r}: everything is a --flag')
    if not flags.FLAGS['verbosity'].present:
      # Libraries' accounts of their own doings are no news to a user.
      logging.set_verbosity(logging.WARNING)
      warnings.simplefilter('ignore')
    try:
      main()
    except UsageError as error:
      _end(2, error)
    except _FAILURES as error:
      logging.debug('failed', exc_info=error)
      _end(1, str(error) or type(error).__name__)
    except KeyboardInterrupt:
      _end(130, 'interrupted; run again to resume')

  app.run(guarded, flags_parser=_parse)


def _keep_programs() -> None:
  """Keeps compiled programs, for this machine, beside the features.

  Where JAX's own settings name a place, that stands. A folder that was mistyped
  is not made.
  """
  if jax.config.jax_compilation_cache_dir:
    return
  if _CACHE_DIR.value and not cache_dir().is_dir():
    return
  folder = cache_dir() / 'xla' / platform.node()
  jax.config.update('jax_compilation_cache_dir', str(folder))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)


def cache_dir() -> Path:
  """The folder ``--cache_dir`` names or stands for."""
  home = os.environ.get('GENMED_JAX_HOME')
  return Path(_CACHE_DIR.value or home or Path.home() / '.cache' / 'genmed_jax')


def config(kind: type):
  """A config whose fields are flags of the same names, as they are set."""
  values = {
    field.name: flags.FLAGS[field.name].value
    for field in dataclasses.fields(kind)
  }
  values['cache_dir'] = str(cache_dir())
  return kind(
    **{
      name: tuple(value) if isinstance(value, list) else value
      for name, value in values.items()
    }
  )


def _parse(argv: list[str]) -> list[str]:
  try:
    return flags.FLAGS(argv)
  except (flags.Error, UnicodeError) as error:
    return _end(2, error)


def _end(status: int, message) -> NoReturn:
  line = ' '.join(str(message).split())
  sys.stderr.write(f'{Path(sys.argv[0]).stem}: {line}\n')
  processes.leave(status)
