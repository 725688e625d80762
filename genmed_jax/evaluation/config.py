"""What every run that scores images is told."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
  """The flags of :mod:`command.run_flags`, but the images themselves."""

  features: tuple[str, ...] = ('inception_v3',)
  metrics: str = 'all'
  image_column: str | None = None
  reference_root: str | None = None
  intensity: str = 'dtype'
  resize: str = 'tf1'
  batch_size: int | None = None
  dtype: str = 'float32'
  bootstrap: int = 1000
  segmenter: str | None = None
  dice_predictor: str | None = None
  seed: int = 2020
  limit: int | None = None
  cache_dir: str = '.'
  output_dir: str = 'genmed_jax_results'
