"""Flags of every entry point that scores images."""

from absl import flags

from genmed_jax import networks
from genmed_jax.data import sources
from genmed_jax.networks.preprocess import RESIZES

SOURCE = (
  'a folder of images, a .csv manifest, a .npz or .npy of images or features, '
  'or phantom:brain?key=value'
)

flags.DEFINE_string('reference', None, f'Real images: {SOURCE}.', required=True)
flags.DEFINE_list(
  'features',
  ['inception_v3'],
  'Feature networks, NETWORK[:TAP] or segmenter:FOLDER. Not used for sources '
  'of features.',
)
flags.DEFINE_string('metrics', 'all', 'all, or names with commas between them.')
flags.DEFINE_string(
  'image_column',
  None,
  f"A manifest's column of paths; else the first of "
  f'{", ".join(sources.IMAGE_COLUMNS)}.',
)
flags.DEFINE_string(
  'reference_root',
  None,
  "Folder the reference manifest's paths are in; its own if not given.",
)
flags.DEFINE_string(
  'intensity',
  'dtype',
  'How pixels are mapped to [0, 1]: dtype, minmax, percentile:1,99 or '
  'window:CENTRE,WIDTH.',
)
flags.DEFINE_enum(
  'resize',
  'tf1',
  RESIZES,
  'tf1: bilinear without antialiasing, as the FID was defined; clean: '
  'antialiased bicubic, as clean-fid.',
)
flags.DEFINE_integer(
  'batch_size',
  None,
  'Images in a step over all devices of a process; 8 per CPU device and 128 '
  'per accelerator if not given.',
  lower_bound=1,
)
flags.DEFINE_enum(
  'dtype', 'float32', networks.DTYPES, 'What networks compute in.'
)
flags.DEFINE_integer(
  'bootstrap',
  1000,
  'Replicates behind bootstrap intervals; 0 for no intervals.',
  lower_bound=0,
)
flags.DEFINE_string(
  'segmenter',
  None,
  'Folder of a segmenter that genmed_jax.train has trained, or phantom for the '
  'one of T1 phantoms that comes along; beside it a --dice_predictor gives '
  'predicted_dice.',
)
flags.DEFINE_string(
  'dice_predictor', None, 'The same of a predictor of the Dice of its masks.'
)
flags.DEFINE_integer(
  'seed', 2020, 'Of every draw.', lower_bound=0, upper_bound=2**32 - 1
)
flags.DEFINE_integer(
  'limit',
  None,
  'Use at most so many images of the reference and of each generated set, '
  'drawn with the seed.',
  lower_bound=2,
)
flags.DEFINE_string(
  'output_dir', 'genmed_jax_results', 'Where results are written.'
)
