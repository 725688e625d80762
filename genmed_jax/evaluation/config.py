"""Options of runs that score images."""

import dataclasses
from typing import Any

from genmed_jax.data.formats import FORMS, IMAGE_COLUMNS
from genmed_jax.metrics import METRICS
from genmed_jax.networks import DTYPES
from genmed_jax.networks import NETWORKS as NETWORKS_BY_NAME
from genmed_jax.networks.preprocess import RESIZES
from genmed_jax.options import option

IMAGES = 'Images'
NETWORKS = 'Networks'
SCORES = 'Metrics and errors'
OUTPUT = 'Files'

ON_ERROR = ('fail', 'skip')


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoringConfig:
  """Options that every run that scores images has."""

  reference: Any = option(help=f'Real images: {FORMS}.', group=IMAGES)
  reference_root: str | None = option(
    None,
    help="Folder that the paths of real images' manifests are relative to. By "
    "default the manifest's own.",
    group=IMAGES,
  )
  image_column: str | None = option(
    None,
    help="A manifest's column of paths. By default the first of "
    f'{", ".join(IMAGE_COLUMNS)}.',
    group=IMAGES,
  )
  intensity: str = option(
    'dtype',
    help='Mapping of pixel values to [0, 1]: dtype (the range of integers), '
    'minmax, percentile:LOW,HIGH or window:CENTRE,WIDTH.',
    group=IMAGES,
  )
  limit: int | None = option(
    None,
    help='Uses at most so many images of the reference and of each generated '
    'set, drawn with the seed. By default all.',
    group=IMAGES,
    at_least=2,
  )
  features: tuple[str, ...] = option(
    ('inception_v3',),
    help='Feature networks, NETWORK[:TAP] or segmenter:FOLDER; networks are '
    f'{", ".join(NETWORKS_BY_NAME)}. Not used for sources of features.',
    group=NETWORKS,
  )
  resize: str = option(
    'tf1',
    help='Resampling of images: tf1 is bilinear without antialiasing, as the '
    'FID was defined; clean is antialiased bicubic, as clean-fid has it.',
    group=NETWORKS,
    choices=RESIZES,
  )
  batch_size: int | None = option(
    None,
    help='Images in a step over all devices of a process. By default 8 per '
    'CPU device and 128 per accelerator.',
    group=NETWORKS,
    at_least=1,
    at_most=1_000_000,
  )
  dtype: str = option(
    'float32',
    help='Number format that networks compute in.',
    group=NETWORKS,
    choices=DTYPES,
  )
  segmenter: str | None = option(
    None,
    help='Folder of a segmenter that genmed_jax.train has trained, or phantom '
    'for the one of T1 phantoms that comes with the package. With a Dice '
    'predictor it gives predicted_dice.',
    group=NETWORKS,
  )
  dice_predictor: str | None = option(
    None,
    help="Folder of the predictor of the Dice of the segmenter's masks, or "
    'phantom.',
    group=NETWORKS,
  )
  metrics: tuple[str, ...] = option(
    ('all',),
    help='Names of metrics with commas between them, or all, which are '
    f'{", ".join(METRICS)}.',
    group=SCORES,
  )
  region_size: int | None = option(
    None,
    help='Side in pixels of the crop about a region of interest. By default '
    'one that holds three regions in four.',
    group=SCORES,
    at_least=8,
  )
  bootstrap: int = option(
    1000,
    help='Replicates behind bootstrap intervals; 0 for no intervals.',
    group=SCORES,
    at_least=0,
  )
  seed: int = option(
    2020,
    help='Seed of every random choice (halves, subsets, bootstrap).',
    group=SCORES,
    at_least=0,
    at_most=2**32 - 1,
  )
  cache_dir: str | None = option(
    None,
    help='Folder of converted weights and of features, which a killed run '
    'resumes from. By default $GENMED_JAX_HOME, else ~/.cache/genmed_jax; in '
    'Python features are kept only if it is given.',
    group=OUTPUT,
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig(ScoringConfig):
  """Options of an evaluation.

  ``generated`` holds texts, ``[NAME=]SOURCE``, and pairs of a name and an
  array.
  """

  generated: tuple[Any, ...] = option(
    help='Synthetic images, [NAME=]SOURCE; may be repeated. SOURCE is '
    f'{FORMS}.',
    group=IMAGES,
    repeated=True,
  )
  generated_root: str | None = option(
    None,
    help="Folder that the paths of generated images' manifests are relative "
    "to. By default the manifest's own.",
    group=IMAGES,
  )
  train: Any = option(
    None,
    help='Images that the generator was trained on, for memorisation. By '
    'default the reference.',
    group=IMAGES,
  )
  test: Any = option(
    None,
    help='Real images that the generator was not trained on, for likelihoods '
    'and copying. By default a seeded half of the training images.',
    group=IMAGES,
  )
  group_by: str | None = option(
    None,
    help='Column to score group by group as well; class for the sub-folders.',
    group=IMAGES,
  )
  subject_column: str | None = option(
    None,
    help='Column of the subject of an image. Images of one subject are alike: '
    'errors and floors are taken over subjects.',
    group=IMAGES,
  )
  subject_pattern: str | None = option(
    None,
    help='Regular expression that finds the subject in the file name of a real '
    'image: its first group, or the whole match.',
    group=IMAGES,
  )
  on_error: str = option(
    'fail',
    help='A file that cannot be used ends the run, or is left out, counted '
    'and named.',
    group=IMAGES,
    choices=ON_ERROR,
  )
  write_ids: bool = option(
    False,
    help='Writes file names into samples_*.csv, beside the numbers.',
    group=OUTPUT,
  )
