"""What statistics of large sets give back to the system when they are done."""

import ctypes

import jax

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.metrics import Comparison

# Bytes of features from which on a statistic takes longer than its compilation.
_LARGE = 1 << 28


def release(done: Comparison) -> None:
  """Drops what is compiled and what is freed, after a statistic of large sets.

  Where devices are the host's cores, programs share their memory with images:
  those of all metrics on 10,000 x 2048 features take 0.8 GB, partly in pieces
  that glibc keeps when they are freed. A program that is needed again comes
  from the folder of compiled ones.

  Args:
    done: The comparison that a metric has been measured on.
  """
  sets = done.reference, done.generated
  values = [each.features.values for each in sets]
  if sum(each.nbytes for each in values) < _LARGE:
    return
  if not mesh_lib.is_cpu(done.reference.mesh):
    return
  jax.clear_caches()
  if trim := getattr(ctypes.CDLL(None), 'malloc_trim', None):
    trim(0)
