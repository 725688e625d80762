"""Training a generator, and drawing images from it."""

from collections.abc import Iterator
import io
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from genmed_jax import perturb
from genmed_jax.data.subjects import split_by_subject
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.progress import progress
from genmed_jax.errors import UsageError
from genmed_jax.generators import GENERATORS
from genmed_jax.report import files
from genmed_jax.training import task as run
from genmed_jax.training.batches import (
  as_bytes,
  Batches,
  OverRows,
  read_pictures,
)
from genmed_jax.training.checkpoints import load_network
from genmed_jax.training.config import TrainingConfig

_SHARES = (0.9, 0.1)  # Of the images, that train and that validate.
_AT_ONCE = 16  # Images that a device draws together.


def train_generator(config: TrainingConfig) -> dict:
  """Learns to draw images like those of a source; reports its losses."""
  family = GENERATORS[config.task]
  defaults = {'batch_size': 32, 'weight_decay': 0.0} | family.defaults
  config = config.with_defaults(**defaults)
  made_of = family.config(
    *(
      config.image_size if field == 'size' else getattr(config, field)
      for field in family.config._fields
    )
  )
  source = run.open_images(config, config.train)
  parts = split_by_subject(
    run.subjects_of(config, source), _SHARES, config.seed
  )
  files.check_writable(Path(config.output_dir))
  mesh = mesh_lib.data_mesh()
  images = read_pictures(
    source, config.image_size, config.channels, config.intensity, masks=False
  ).images
  fitted, validation = (images[part] for part in parts)
  batches = Batches(mesh, {'images': fitted}, config.batch_size, config.seed)
  learner = family.learner(
    made_of, config.plan, config.epochs * len(batches), validation, mesh
  )
  folder = Path(config.output_dir)
  found = run.fit(learner, batches, config, [source], folder / 'training')
  best = found.history[found.history[-1]['best']]
  report = {'images': [len(part) for part in parts]} | best
  run.write(
    config,
    folder,
    config.task,
    learner.sampled(found.state),
    {'config': made_of._asdict()},
    found.history,
    report,
  )
  return report


def draw(generator: Path, count: int, seed: int) -> Iterator[np.ndarray]:
  """Images ``[s, s, c]`` uint8 of a trained generator, one by one.

  Image i depends on the seed and on i alone.

  Raises:
    UsageError: if there is no generator.
  """
  weights, manifest = load_network(generator / 'network', *GENERATORS)
  family = GENERATORS[manifest['kind']]
  config = family.config(**manifest['config'])

  def images(weights, numbers):
    drawn = jax.lax.map(
      lambda key: family.sample(config, weights, key),
      perturb.image_keys(jax.random.key(seed), numbers),
      batch_size=_AT_ONCE,
    )
    return as_bytes(drawn)

  drawing = OverRows(mesh_lib.data_mesh(), images)
  for start in range(0, count, drawing.at_once):
    stop = min(start + drawing.at_once, count)
    yield from drawing(weights, np.arange(start, stop, dtype=np.uint32))


def write_images(generator: Path, count: int, seed: int, folder: Path) -> None:
  """Draws images into a folder of PNGs, as process 0.

  Raises:
    UsageError: if there is no generator, or the folder has images.
  """
  files.check_writable(folder)
  if any(folder.glob('*.png')):
    raise UsageError(f'`output_dir={str(folder)!r}` has images already')
  drawn = draw(generator, count, seed)
  for number, pixels in enumerate(
    progress(drawn, desc='images', total=count, unit='image')
  ):
    if jax.process_index() == 0:
      image = Image.fromarray(pixels.squeeze())
      coded = io.BytesIO()
      image.save(coded, 'png')
      files.write_file(folder / f'{number:06d}.png', coded.getvalue())
