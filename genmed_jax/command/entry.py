"""The start and the end of every command: flags, exit statuses, one line."""

from collections.abc import Callable, Sequence
import dataclasses
from pathlib import Path
import platform
import re
import sys
from typing import Any, NoReturn
import warnings

from absl import flags, logging
import jax

from genmed_jax import __version__, options
from genmed_jax.command.flags import config_of, define, help_text
from genmed_jax.data.formats import split_name
from genmed_jax.engine import memory, processes
from genmed_jax.errors import RunError, UsageError
from genmed_jax.networks import weights
from genmed_jax.options import option

# What disks and devices raise, beside what is declared.
_FAILURES = (RunError, OSError, MemoryError, jax.errors.JaxRuntimeError)

_RUN = 'Processes and messages'


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessConfig:
  """Options of every command."""

  coordinator: str | None = option(
    None,
    help='HOST:PORT of process 0, for a run of several processes; auto where '
    'SLURM, a TPU pod or GKE says where it is. By default one process.',
    group=_RUN,
  )
  num_processes: int | None = option(
    None, help='Number of processes of the run.', group=_RUN, at_least=1
  )
  process_id: int | None = option(
    None,
    help='Number of this process, from 0.',
    group=_RUN,
    at_least=0,
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProgramsConfig:
  """The option of commands that keep nothing but compiled programs."""

  cache_dir: str | None = option(
    None,
    help='Folder of compiled programs. By default $GENMED_JAX_HOME, else '
    '~/.cache/genmed_jax.',
    group=_RUN,
  )


@dataclasses.dataclass(frozen=True)
class Command:
  """A command.

  Attributes:
    name: As ``genmed NAME`` and ``python -m genmed_jax.NAME``.
    about: Its purpose in a sentence.
    example: Line of a shell.
    config: Its options.
    main: Runs it with a config.
    positional: Options that arguments without a flag are given to, in order;
      the last takes all that are left if it is repeated.
  """

  name: str
  about: str
  example: str
  config: type
  main: Callable[[Any], None]
  positional: tuple[str, ...] = ()

  @property
  def usage(self) -> str:
    """Its form in a shell, and an example."""
    declared = options.options(self.config)
    arguments = [
      '[NAME=]SOURCE ...' if declared[name].repeated else name.upper()
      for name in self.positional
    ]
    form = ' '.join(['genmed', self.name, *arguments, '[--FLAGS]'])
    return f'Usage: {form}\n\nExample: {self.example}'

  @property
  def configs(self) -> tuple[type, ...]:
    """All of its options: its own, and those of every command."""
    if 'cache_dir' in options.options(self.config):
      return self.config, ProcessConfig
    return self.config, ProcessConfig, ProgramsConfig


def run(command: Command, arguments: Sequence[str] | None = None) -> None:
  """Runs a command and ends the process with an exit status.

  0 when done. 2 with one line when what the user gave cannot be used
  (``UsageError`` and unknown or malformed flags). 1 with one line when the
  run failed on the way; ``--verbosity=1`` shows where. Any other exception is
  a bug and keeps its traceback.

  Args:
    command: The command.
    arguments: Of the command line, without the program's name.
  """
  arguments = sys.argv[1:] if arguments is None else list(arguments)
  for stream in (sys.stdout, sys.stderr):
    if hasattr(stream, 'reconfigure'):  # What it cannot show is escaped.
      stream.reconfigure(errors='backslashreplace')
  if '--version' in arguments:
    sys.stdout.write(f'genmed_jax {__version__}\n')
    return
  values = _flag_values(command)
  if asked := {'--help', '-h', '--helpfull', '--helpshort'} & {*arguments}:
    sys.stdout.write(_help(command, full='--helpfull' in asked))
    return
  try:
    _start(command, values, arguments)
    command.main(config_of(command.config, values))
  except UsageError as error:
    _end(command, 2, as_flags(str(error), values))
  except flags.Error as error:
    _end(command, 2, error)
  except _FAILURES as error:
    logging.debug('failed', exc_info=error)
    _end(command, 1, as_flags(str(error) or type(error).__name__, values))
  except KeyboardInterrupt:
    _end(command, 130, 'interrupted; run again to resume')


def _start(
  command: Command, values: flags.FlagValues, arguments: Sequence[str]
) -> None:
  """Parses the flags, and sets up the process as they say."""
  try:
    rest = values([command.name, *arguments])[1:]
  except UnicodeError as error:
    raise UsageError(str(error)) from error
  _give(command, values, rest)
  for field in dataclasses.fields(command.config):
    needed = field.default is dataclasses.MISSING
    if needed and values[field.name].value is None:
      raise UsageError(f'`{field.name}` must be given')
  if not values['verbosity'].present:
    # Libraries' accounts of their own doings are no news to a user.
    logging.set_verbosity(logging.WARNING)
    warnings.simplefilter('ignore')
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  _keep_programs(values)
  memory.release_programs()
  processes.join(
    *(values[f.name].value for f in dataclasses.fields(ProcessConfig))
  )
  try:
    jax.devices()
  except RuntimeError as error:
    raise RunError(str(error)) from error


def _give(
  command: Command, values: flags.FlagValues, arguments: Sequence[str]
) -> None:
  """Gives arguments without a flag to the options they stand for."""
  declared = options.options(command.config)
  free = [
    name
    for name in command.positional
    if declared[name].repeated or not values[name].present
  ]
  for argument in arguments:
    if not free:
      raise UsageError(
        f'unexpected argument {argument!r}: everything else is a --flag'
      )
    if declared[free[0]].repeated:
      values[free[0]].value = [*(values[free[0]].value or []), argument]
      continue
    name = free.pop(0)
    if split_name(argument)[0]:
      raise UsageError(
        f'{argument!r} stands where the {name} is expected, which has no name '
        f'in front of it: give the {name} first, or as `{name}`'
      )
    values[name].value = argument


def _flag_values(command: Command) -> flags.FlagValues:
  """The command's own flags, and those of the libraries it uses.

  Apart from ``flags.FLAGS``: several commands may run in one process.
  """
  own = flags.FlagValues()
  for kind in command.configs:
    define(kind, own)
  for name in flags.FLAGS:
    flag = flags.FLAGS[name]
    if name == flag.name and name not in own:
      own[name] = flag
  return own


def _help(command: Command, *, full: bool) -> str:
  more = '\n  --verbosity=1 shows where a run failed; --helpfull lists the '
  more += 'flags of libraries too.\n'
  if full:
    more = f'\nFlags of libraries:\n{flags.FLAGS.get_help()}\n'
  return help_text(command.about, command.usage, command.configs, more)


def as_flags(message: str, values: flags.FlagValues) -> str:
  """A message that names options as Python has them, with flags instead."""

  def flag(match: re.Match) -> str:
    name, equals, value = match.groups()
    if name not in values:
      return match[0]
    return f'--{name}{equals or ""}{(value or "").strip(chr(39))}'

  return re.sub(r'`(\w+)(?:(=)([^`]*))?`', flag, message)


def cache_dir(given: str | None) -> Path:
  """The folder that ``--cache_dir`` names or stands for."""
  return Path(given) if given else weights.home()


def _keep_programs(values: flags.FlagValues) -> None:
  """Keeps compiled programs, for this machine, with the features.

  Where JAX's own settings name a place, that stands. A folder that was mistyped
  is not made.
  """
  if jax.config.jax_compilation_cache_dir:
    return
  given = values['cache_dir'].value
  if given and not Path(given).is_dir():
    return
  folder = cache_dir(given) / 'xla' / platform.node()
  jax.config.update('jax_compilation_cache_dir', str(folder))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)


def _end(command: Command, status: int, message: object) -> NoReturn:
  line = ' '.join(str(message).split())
  sys.stderr.write(f'{command.name}: {line}\n')
  processes.leave(status)
