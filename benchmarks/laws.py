"""Laws that sets of features are drawn of, ``[n, WIDTH]``."""

import numpy as np

WIDTH = 16


def gaussian(random, n):
  """Standard normal features."""
  return random.standard_normal((n, WIDTH))


def heavy(random, n):
  """Student's t of four degrees of freedom: the fourth moment is infinite."""
  return random.standard_t(4, (n, WIDTH))


def clustered(random, n):
  """Normal features about eight centres."""
  centres = 3 * np.random.default_rng(5).standard_normal((8, WIDTH))
  return centres[random.integers(8, size=n)] + random.standard_normal(
    (n, WIDTH)
  )


SHAPES = {'gaussian': gaussian, 'heavy': heavy, 'clustered': clustered}
