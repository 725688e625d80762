"""Progress of long work, on standard error, of process 0."""

from collections.abc import Iterator, Mapping
import contextlib
import sys
from typing import Any

import jax
import tqdm

_TRACED = '/jax/core/compile/jaxpr_to_mlir_module_duration'
_COMPILED = '/jax/core/compile/backend_compile_duration'


class _Bar(tqdm.tqdm):
  """A bar that stays when it is done, even if it was never drawn before."""

  def close(self) -> None:
    """Draws the bar for the last time if it took longer than its delay."""
    if not self.disable and self.leave is not False:
      self.last_print_t = self._time()
    super().close()


def progress(items=None, **options) -> tqdm.tqdm:
  """A bar of ``tqdm``; where there is no terminal, a line when it is done.

  Work of less than two seconds shows nothing.

  Args:
    items: To iterate over, if any.
    **options: Of ``tqdm``.
  """
  shown = {'delay': 2, 'leave': None}
  if not sys.stderr.isatty():
    hour = 3600  # Long work says once an hour how far it is.
    shown = {'delay': 2, 'mininterval': hour, 'maxinterval': hour}
  return _Bar(items, disable=jax.process_index() != 0, **shown | options)


def by_name(items: Mapping[str, Any], desc: str) -> Iterator[tuple[str, Any]]:
  """Iterates over items; the bar names what is done, and says if it compiles.

  Args:
    items: By name.
    desc: Name of the bar.
  """
  with progress(items.items(), desc=desc, unit='metric') as bar:
    for name, item in bar:
      _say(bar, name)
      with _compiling_shown(bar, name):
        yield name, item


@contextlib.contextmanager
def _compiling_shown(bar: tqdm.tqdm, name: str) -> Iterator[None]:
  def listen(event, *_, **__):
    if event == _TRACED:
      _say(bar, f'{name}, compiling')
    elif event == _COMPILED:
      _say(bar, name)

  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    yield
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)


def _say(bar: tqdm.tqdm, text: str) -> None:
  """Names what is done, at once where a bar is on a terminal already."""
  is_shown = not bar.disable and bar.format_dict['elapsed'] > bar.delay
  bar.set_postfix_str(text, refresh=is_shown and sys.stderr.isatty())
