"""Brain slices: anatomy, and in some of them a tumour with its exact mask.

Painted outside in: scalp, skull, fluid, a cortex with gyri, white matter,
deep nuclei, ventricles and the fissure between the hemispheres.
"""

import jax.numpy as jnp

from genmed_jax.data.phantom.chance import choice, Draw
from genmed_jax.data.phantom.drawing import Drawing
from genmed_jax.data.phantom.program import on_subjects
from genmed_jax.data.phantom.shapes import (
  ellipse,
  grid,
  harmonics,
  smooth_field,
  waves,
  wobble,
)
from genmed_jax.engine.filters import gaussian_blur

TISSUES = ('air', 'scalp', 'skull', 'fluid', 'grey', 'white', 'tumour')

# What each tissue gives under each weighting, at a range of 1.
SIGNALS = {
  'flair': (0.0, 0.55, 0.08, 0.13, 0.56, 0.42, 0.86),
  't1': (0.0, 0.82, 0.07, 0.14, 0.46, 0.66, 0.34),
  't2': (0.0, 0.60, 0.06, 0.92, 0.58, 0.44, 0.80),
}

# Kinds of tumour, and how frequent each is among tumours.
CLASSES = ('healthy', 'solid', 'ring', 'diffuse')
_SHARES = (0.4, 0.4, 0.2)


# Every path starts with 0: anatomy, the first of a subject's three parts.
DRAWS = {
  'pose': Draw((0, 0), (10,)),
  'outline': harmonics((0, 1), 5),
  'cortex': harmonics((0, 2), 22),
  **waves('gyri', (0, 3)),
  'present': Draw((0, 4)),
  'kind': Draw((0, 5)),
  'place': Draw((0, 6, 0), (3,)),
  'edge': harmonics((0, 6, 1), 7),
  **waves('texture', (0, 6, 2)),
  'gains': Draw((0, 7), (len(TISSUES),), normal=True),
  **waves('shading', (0, 8)),
}


@on_subjects()
def draw(drawn: dict, *, size: int, signals, tumours) -> Drawing:
  """Draws slices.

  Args:
    drawn: The subjects', as in :data:`DRAWS`.
    size: Side in pixels.
    signals: Of every tissue, as in :data:`SIGNALS`.
    tumours: Share of subjects with a tumour.
  """
  pose = iter(drawn['pose'])

  def uniform(low, high):
    return low + (high - low) * next(pose)

  def field(name, frequency):
    return smooth_field(drawn[name], drawn[f'{name} phase'], size, frequency)

  tilt = uniform(-0.12, 0.12)
  x, y = grid(size, tilt, uniform(-0.04, 0.04), uniform(-0.04, 0.04))

  # Depth: 1 at the scalp, 0 at the centre, over a wobbling ellipse.
  width, height = uniform(0.66, 0.78), uniform(0.82, 0.92)
  outline = 1 + wobble(drawn['outline'], x, y, 2, 0.02)
  depth = jnp.hypot(x / width, y / height) / outline
  cortex = uniform(0.64, 0.72) + wobble(drawn['cortex'], x, y, 9, 0.028)
  cortex += 0.02 * field('gyri', 6.0)
  atrophy = uniform(0.8, 1.5)  # Widens ventricles and sulci together.

  fissure = jnp.abs(x) < 0.012 * atrophy
  fissure &= (depth < 0.86) & (jnp.abs(y) > 0.3 * height)
  spread = uniform(0.09, 0.13)
  ventricle = ellipse(
    jnp.abs(x) - spread - 0.12 * jnp.abs(y), y, 0.055 * atrophy, 0.24
  )
  nucleus = ellipse(jnp.abs(x) - spread - 0.17, y - 0.03, 0.09, 0.15)

  tissue = jnp.zeros((size, size), jnp.int32)
  painted = (
    (depth < 1.0, 'scalp'),
    (depth < 0.95, 'skull'),
    (depth < 0.89, 'fluid'),
    (depth < 0.89 - 0.03 * atrophy, 'grey'),
    (depth < cortex, 'white'),
    (nucleus < 1, 'grey'),
    (fissure | (ventricle < 1), 'fluid'),
  )
  for where, name in painted:
    tissue = jnp.where(where, TISSUES.index(name), tissue)

  present = drawn['present'] < tumours
  kind = choice(drawn['kind'], _SHARES) + 1
  reach = _reach(drawn['place'], drawn['edge'], x / width, y / height)
  texture = field('texture', 30.0)
  mask = present & (reach < 1) & (depth < 0.85)
  tissue = jnp.where(mask, TISSUES.index('tumour'), tissue)

  gains = 1 + 0.06 * drawn['gains']
  signal = (signals * gains)[tissue]
  signal *= 1 + 0.05 * field('shading', 18.0)
  rim, core = signals[6], signals[3]
  within = jnp.stack(
    [
      rim * (1 + 0.06 * texture),
      jnp.where(reach < 0.6, (rim + core) / 2, rim * (1 + 0.06 * texture)),
      signal + (rim - signal) * (1 - reach**2) * (0.8 + 0.3 * texture),
    ]
  )[kind - 1]
  signal = jnp.where(mask, within, signal)
  return Drawing(
    gaussian_blur(signal, 0.005 * size),
    mask,
    tissue.astype(jnp.uint8),
    jnp.where(present, kind, 0),
  )


def _reach(place, edge, x, y):
  """Distance from a tumour's middle over its reach in that direction."""
  site, far, radius = place
  far = 0.2 + 0.42 * far
  x -= far * jnp.cos(2 * jnp.pi * site)
  y -= far * jnp.sin(2 * jnp.pi * site)
  outline = 1 + wobble(edge, x, y, 2, 0.17)
  return jnp.hypot(x, y) / ((0.1 + 0.22 * radius) * outline)
