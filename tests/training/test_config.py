import pytest

from genmed_jax import options
from genmed_jax.training.config import TrainingConfig


def config(**given):
  return options.build(TrainingConfig, {'task': 'vae', 'train': 'set'} | given)


def test_defaults_fill_what_was_not_given():
  filled = config(width=8, weight_decay=0.0, seed=5).with_defaults(
    width=16, depth=4, epochs=20, batch_size=9, weight_decay=1.0
  )
  assert (filled.width, filled.depth, filled.layers) == (8, 4, None)
  plan = filled.plan
  assert (plan.epochs, plan.batch_size, plan.seed) == (20, 9, 5)
  assert plan.weight_decay == 0.0
  assert plan.patience == 20  # To the end, if none is given.


def test_lists_may_be_text():
  assert config(settings='mixed,augmented').settings == ('mixed', 'augmented')


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    ({'task': 'poet'}, "`task='poet'`: accepted is one of segmenter, "),
    ({'image_size': 8}, '`image_size=8`: accepted is 16 or more'),
    ({'norm': 'layer'}, "`norm='layer'`: accepted is one of group"),
    ({'mask_input': 'beside'}, 'accepted is one of channel, blend'),
    ({'seed': 2**32}, 'accepted is 4294967295 or less'),
    ({'epoch': 3}, "unknown option 'epoch'; did you mean 'epochs'"),
  ],
)
def test_unusable_options(given, message):
  with pytest.raises(ValueError, match=message):
    config(**given)
