"""Seeded features that benchmarks measure on."""

import numpy as np


def features(n: int, width: int, seed: int, shift: float) -> np.ndarray:
  """Non-negative features of low rank and noise, as a pooled network gives."""
  law, random = np.random.default_rng(0), np.random.default_rng(seed)
  mixing = law.standard_normal((96, width)) * np.arange(1, 97)[:, None] ** -0.6
  mixing = mixing.astype(np.float32)
  # As a memory-mapped file lies: such rows are laid over devices as they are.
  size = 4 * n * width
  store = np.empty(size + 64, np.uint8)
  aligned = -store.ctypes.data % 64
  values = store[aligned : aligned + size].view(np.float32).reshape(n, width)
  for start in range(0, n, 4096):
    rows = values[start : start + 4096]
    hidden = random.standard_normal((len(rows), 96), np.float32) + shift
    noise = 0.35 * random.standard_normal(rows.shape, np.float32)
    np.logaddexp(0, hidden @ mixing + noise, out=rows)
  return values
