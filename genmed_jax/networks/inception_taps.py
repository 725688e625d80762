"""The outputs of InceptionV3."""

# Tap -> the stage it is read after, from shallow to deep.
TAPS = {
  '64': 'maxpool_1',
  '192': 'maxpool_2',
  'spatial': 'mixed_6d',
  '768': 'mixed_6e',
  '2048': 'mixed_7c',
  'logits': 'fc',
}

# `spatial` reads values from before the batch norm, which a file with the
# batch norm folded no longer has.
OPTIONAL = {'spatial': 'spatial.weight'}

SPATIAL_CHANNELS = 7
