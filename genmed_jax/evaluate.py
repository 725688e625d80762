"""Scores generated image sets against a reference set.

python -m genmed_jax.evaluate --reference=REAL --generated=SYNTHETIC
"""

import sys

from absl import flags
import jax

from genmed_jax import entry, evaluation, networks, processes, results
from genmed_jax.data import sources
from genmed_jax.networks.preprocess import RESIZES

_SOURCE = (
  'a folder of images, a .csv manifest, a .npz or .npy of images or features, '
  'or phantom:brain?key=value'
)
_REFERENCE = flags.DEFINE_string(
  'reference', None, f'Real images: {_SOURCE}.', required=True
)
_GENERATED = flags.DEFINE_multi_string(
  'generated',
  None,
  f'Synthetic images, as [NAME=]SOURCE; may be repeated. SOURCE is {_SOURCE}.',
  required=True,
)
_TRAIN = flags.DEFINE_string(
  'train',
  None,
  'Images the generator was trained on, for memorisation; the reference if '
  'not given.',
)
_TEST = flags.DEFINE_string(
  'test',
  None,
  'Real images the generator was not trained on, for likelihood and copying; '
  'a seeded half of the training images if not given.',
)
_FEATURES = flags.DEFINE_list(
  'features',
  ['inception_v3'],
  'Feature networks, NETWORK[:TAP]. Not used for sources of features.',
)
_METRICS = flags.DEFINE_string(
  'metrics', 'all', 'all, or names with commas between them.'
)
_GROUP_BY = flags.DEFINE_string(
  'group_by',
  None,
  'Column to score group by group as well; class for the sub-folders.',
)
_IMAGE_COLUMN = flags.DEFINE_string(
  'image_column',
  None,
  f"A manifest's column of paths; else the first of "
  f'{", ".join(sources.IMAGE_COLUMNS)}.',
)
_REFERENCE_ROOT = flags.DEFINE_string(
  'reference_root',
  None,
  "Folder the reference manifest's paths are in; its own if not given.",
)
_GENERATED_ROOT = flags.DEFINE_string(
  'generated_root', None, 'The same for generated manifests.'
)
_INTENSITY = flags.DEFINE_string(
  'intensity',
  'dtype',
  'How pixels are mapped to [0, 1]: dtype, minmax, percentile:1,99 or '
  'window:CENTRE,WIDTH.',
)
_RESIZE = flags.DEFINE_enum(
  'resize',
  'tf1',
  RESIZES,
  'tf1: bilinear without antialiasing, as the FID was defined; clean: '
  'antialiased bicubic, as clean-fid.',
)
_BATCH_SIZE = flags.DEFINE_integer(
  'batch_size',
  None,
  'Images in a step over all devices of a process; 8 per CPU device and 128 '
  'per accelerator if not given.',
  lower_bound=1,
)
_DTYPE = flags.DEFINE_enum(
  'dtype', 'float32', networks.DTYPES, 'What networks compute in.'
)
_BOOTSTRAP = flags.DEFINE_integer(
  'bootstrap',
  1000,
  'Replicates behind bootstrap intervals; 0 for no intervals.',
  lower_bound=0,
)
_SEED = flags.DEFINE_integer(
  'seed', 2020, 'Of every draw.', lower_bound=0, upper_bound=2**32 - 1
)
_LIMIT = flags.DEFINE_integer(
  'limit',
  None,
  'Use at most so many images of the reference and of each generated set, '
  'drawn with the seed.',
  lower_bound=2,
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', 'genmed_jax_results', 'Where results are written.'
)
_ON_ERROR = flags.DEFINE_enum(
  'on_error',
  'fail',
  ['fail', 'skip'],
  'A file that cannot be used ends the run, or is left out and counted.',
)
_WRITE_IDS = flags.DEFINE_bool(
  'write_ids',
  False,
  'Write file names into samples_*.csv, beside the numbers.',
)


def main() -> None:
  """Runs the evaluation that the flags describe and prints its table."""
  processes.join()
  config = evaluation.Config(
    reference=_REFERENCE.value,
    generated=tuple(_GENERATED.value),
    train=_TRAIN.value,
    test=_TEST.value,
    features=tuple(_FEATURES.value),
    metrics=_METRICS.value,
    group_by=_GROUP_BY.value,
    image_column=_IMAGE_COLUMN.value,
    reference_root=_REFERENCE_ROOT.value,
    generated_root=_GENERATED_ROOT.value,
    intensity=_INTENSITY.value,
    resize=_RESIZE.value,
    batch_size=_BATCH_SIZE.value,
    dtype=_DTYPE.value,
    bootstrap=_BOOTSTRAP.value,
    seed=_SEED.value,
    limit=_LIMIT.value,
    cache_dir=str(entry.cache_dir()),
    output_dir=_OUTPUT_DIR.value,
    on_error=_ON_ERROR.value,
    write_ids=_WRITE_IDS.value,
  )
  rows = evaluation.evaluate(config)
  if jax.process_index() == 0:
    sys.stdout.write(results.table(rows) + '\n')


if __name__ == '__main__':
  entry.run(main)
