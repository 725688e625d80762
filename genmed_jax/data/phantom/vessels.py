"""Angiograms: the head's arteries about the Circle of Willis, projected.

Two carotids and a basilar artery feed the circle; middle, anterior and
posterior cerebral arteries leave it, branch and thin out. Posterior
communicating arteries, which close the circle behind, are there on both
sides, on one, or on neither: the three classes.
"""

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from genmed_jax.data.phantom.chance import choice, Draw
from genmed_jax.data.phantom.drawing import Drawing
from genmed_jax.data.phantom.program import on_subjects
from genmed_jax.data.phantom.shapes import ellipse, grid, smooth_field, waves

TISSUES = ('background', 'vessel')

# Posterior communicating arteries, and how frequent each class is.
CLASSES = ('both', 'one', 'none')
_SHARES = (0.4, 0.4, 0.2)

_SEGMENTS = 6  # Of which an artery's course is made.
_AT_ONCE = 4  # Segments that are looked at in one pass over the pixels.

# Landmarks of the right side, mirrored for the left, and of the midline.
_RIGHT = {
  'neck': (0.20, 0.62),
  'carotid': (0.14, 0.02),
  'sylvian': (0.42, -0.06),
  'frontal': (0.62, -0.34),
  'insular': (0.70, -0.04),
  'temporal': (0.62, 0.30),
  'front': (0.03, -0.16),
  'callosal': (0.05, -0.50),
  'top': (0.16, -0.74),
  'fork': (0.10, 0.34),
  'occipital': (0.30, 0.60),
  'back': (0.26, 0.80),
}
_MIDLINE = {'basilar': (0.0, 0.26), 'vertebral': (0.0, 0.74)}

# From, to, radius at either end, and how far the course winds.
_PAIRED = (
  ('carotid', 'fork', 0.011, 0.010, 0.02),  # Posterior communicating.
  ('neck', 'carotid', 0.034, 0.032, 0.05),  # Internal carotid.
  ('carotid', 'sylvian', 0.026, 0.020, 0.03),  # Middle cerebral.
  ('sylvian', 'frontal', 0.018, 0.008, 0.10),
  ('sylvian', 'insular', 0.018, 0.008, 0.10),
  ('sylvian', 'temporal', 0.018, 0.008, 0.10),
  ('carotid', 'front', 0.020, 0.018, 0.03),  # Anterior cerebral.
  ('front', 'callosal', 0.016, 0.010, 0.05),
  ('callosal', 'top', 0.010, 0.006, 0.08),
  ('basilar', 'fork', 0.020, 0.018, 0.02),  # Posterior cerebral.
  ('fork', 'occipital', 0.016, 0.009, 0.06),
  ('occipital', 'back', 0.009, 0.006, 0.06),
)
_SINGLE = (
  ('vertebral', 'basilar', 0.026, 0.024, 0.03),  # Basilar.
  ('front', 'left front', 0.010, 0.010, 0.0),  # Anterior communicating.
)


def _atlas():
  """Landmarks ``[p, 2]``; ends ``[a, 2]``, radii ``[a, 2]``, winding ``[a]``.

  The first two arteries are the posterior communicating ones.
  """
  left = {f'left {name}': (-x, y) for name, (x, y) in _RIGHT.items()}
  places = _RIGHT | left | _MIDLINE
  order = list(places)
  mirrored = lambda name: name if name in _MIDLINE else f'left {name}'  # noqa: E731
  arteries = [
    course
    for artery in _PAIRED
    for course in (artery, (*map(mirrored, artery[:2]), *artery[2:]))
  ]
  arteries += _SINGLE
  ends = [[order.index(name) for name in artery[:2]] for artery in arteries]
  radii = [artery[2:4] for artery in arteries]
  winding = [artery[4] for artery in arteries]
  return tuple(
    np.array(each) for each in (list(places.values()), ends, radii, winding)
  )


_LANDMARKS, _ENDS, _RADII, _WINDING = _atlas()


# Every path starts with 0: anatomy, the first of a subject's three parts.
DRAWS = {
  'pose': Draw((0, 0), (6,)),
  'kind': Draw((0, 1)),
  'side': Draw((0, 2)),
  'places': Draw((0, 3), _LANDMARKS.shape, normal=True),
  'bends': Draw((0, 4), (len(_ENDS), 3), normal=True),
  'calibre': Draw((0, 5), (len(_ENDS), 1), normal=True),
  **waves('tissue', (0, 6)),
}


@on_subjects(emitters=True)
def draw(drawn: dict, *, size: int) -> Drawing:
  """Draws angiograms.

  Args:
    drawn: The subjects', as in :data:`DRAWS`.
    size: Side in pixels.
  """
  pose = iter(drawn['pose'])

  def uniform(low, high):
    return low + (high - low) * next(pose)

  kind = choice(drawn['kind'], _SHARES)
  missing_side = (drawn['side'] < 0.5).astype(int)
  side = jnp.arange(len(_ENDS))
  missing = (side < 2) & ((kind == 2) | ((kind == 1) & (side == missing_side)))

  stretch = jnp.stack([uniform(0.86, 1.1), uniform(0.86, 1.05)])
  jitter = 0.022 * drawn['places']
  places = (_LANDMARKS + jitter) * stretch
  start, end = places[_ENDS[:, 0]], places[_ENDS[:, 1]]
  t = jnp.linspace(0, 1, _SEGMENTS + 1)[:, None]
  sines = jnp.sin(jnp.pi * t * jnp.arange(1, 4))  # [t, 3]
  bends = drawn['bends'] / jnp.arange(1, 4)
  off = jnp.matmul(bends, sines.T, precision='highest') * _WINDING[:, None]
  along = end - start
  across = jnp.stack([-along[:, 1], along[:, 0]], axis=1)
  course = start[:, None] + t * along[:, None]
  course += off[:, :, None] * across[:, None]  # [a, t, 2]
  calibre = jnp.exp(0.12 * drawn['calibre'])
  radii = calibre * (_RADII[:, :1] * (1 - t.T) + _RADII[:, 1:] * t.T)
  radii = jnp.where(missing[:, None], 1e-4, radii)

  tilt = uniform(-0.1, 0.1)
  x, y = grid(size, tilt, uniform(-0.04, 0.04), uniform(-0.04, 0.04))
  inside = _tubes(
    x / 0.92,
    y / 0.92,
    course[:, :-1].reshape(-1, 2),
    course[:, 1:].reshape(-1, 2),
    radii[:, :-1].reshape(-1),
    radii[:, 1:].reshape(-1),
  )
  mask = inside > 0
  head = ellipse(x, y, 0.8 * stretch[0], 0.95 * stretch[1])
  tissue = smooth_field(drawn['tissue'], drawn['tissue phase'], size, 5.0)
  tissue = 0.16 + 0.03 * tissue
  background = jnp.where(head < 1, tissue, 0.0)
  # The longest way through a tube of a pixel's depth, bright with inflow.
  flow = uniform(0.75, 0.95) * jnp.sqrt(jnp.clip(inside, 0, 1))
  return Drawing(
    jnp.maximum(background, jnp.where(mask, 0.25 + flow * 0.75, 0.0)),
    mask,
    mask.astype(jnp.uint8),
    kind,
  )


def _tubes(x, y, start, end, radius, last_radius) -> jax.Array:
  """1 on the axis of the nearest tube, 0 on its wall, below 0 outside."""

  def nearer(least, tube):
    (x0, y0), (dx, dy), radius, widening = tube
    across, down = x - x0, y - y0
    length = dx**2 + dy**2 + 1e-12
    reach = jnp.clip(across * (dx / length) + down * (dy / length), 0, 1)
    squared = (across - reach * dx) ** 2 + (down - reach * dy) ** 2
    return jnp.minimum(least, squared / (radius + reach * widening) ** 2), None

  tubes = start, end - start, radius, last_radius - radius
  least = jnp.full_like(x, jnp.inf)
  squared, _ = lax.scan(nearer, least, tubes, unroll=_AT_ONCE)
  return 1 - jnp.sqrt(squared)
