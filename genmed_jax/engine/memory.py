"""Memory that statistics of large sets give back when they are done.

Where devices are the host's cores, compiled programs share their memory with
images: those of all metrics on 10,000 x 2048 features take 0.8 GB, partly in
pieces that glibc keeps when they are freed.
"""

import ctypes

import jax

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.feature_set import FeatureSet

# Bytes of features from which on a statistic takes longer than its compilation.
_LARGE = 1 << 28

_releases = False


def release_programs() -> None:
  """Makes :func:`release` drop the programs of this process from now on.

  For commands: in a library call it would drop the caller's programs too.
  """
  global _releases
  _releases = True


def release(*sets: FeatureSet) -> None:
  """Drops compiled programs and freed memory after a statistic of large sets.

  A program that is needed again comes from the folder of compiled ones.

  Args:
    *sets: Those that the statistic was of.
  """
  if not _releases or not mesh_lib.is_cpu(sets[0].mesh):
    return
  if sum(4 * x.count * x.width for x in sets) < _LARGE:
    return
  jax.clear_caches()
  if trim := getattr(ctypes.CDLL(None), 'malloc_trim', None):
    trim(0)
