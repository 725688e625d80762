"""The command that converts published network weights."""

import dataclasses
from pathlib import Path
import sys

from genmed_jax.command.entry import cache_dir, Command
from genmed_jax.errors import UsageError
from genmed_jax.networks.conversion import convert, download
from genmed_jax.options import option

_WEIGHTS = 'Weights'


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertConfig:
  """Options of the command."""

  network: str = option(
    help='NETWORK[:TAP]; with a tap, only the layers up to it are converted.',
    group=_WEIGHTS,
  )
  source: str | None = option(
    None,
    help='A torch state dict (.pth, .pt, .th), .safetensors or .npz file, with '
    'batch norm or with it folded.',
    group=_WEIGHTS,
  )
  download: bool = option(
    False, help="Fetches the network's published file first.", group=_WEIGHTS
  )
  cache_dir: str | None = option(
    None,
    help='Folder that the weights are written to. By default '
    '$GENMED_JAX_HOME, else ~/.cache/genmed_jax.',
    group=_WEIGHTS,
  )


def main(config: ConvertConfig) -> None:
  """Converts weights and prints their folder."""
  folder = cache_dir(config.cache_dir)
  if (config.source is None) != config.download:
    raise UsageError('give either `source` or `download`')
  if config.download:
    source = download(config.network, folder / 'downloads')
  else:
    source = Path(config.source)
  sys.stdout.write(f'{convert(config.network, source, folder)}\n')


COMMAND = Command(
  name='convert',
  about='Converts published network weights to the form the package reads.',
  example='genmed convert --network=inception_v3 --download',
  config=ConvertConfig,
  main=main,
)
