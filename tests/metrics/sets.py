"""Sets that several tests of metrics score."""

import functools

import numpy as np

from genmed_jax import metrics
from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.local_features import LocalFeatures


def feature_set(values, resolution=0.0, **outputs):
  """Features over all devices, with a predicted Dice beside them."""
  dice = np.linspace(0.2, 0.9, len(values), dtype=np.float32)[:, None]
  outputs = {'predicted_dice': dice} | outputs
  mesh = mesh_lib.data_mesh()
  return LocalFeatures(mesh, values, outputs, resolution=resolution)


@functools.cache
def comparison(n=240, m=200, bootstrap=200, train=None, test=None):
  """One for all metrics: what they share of it is computed once."""
  random = np.random.default_rng(0)
  x, y = (np.float32(random.standard_normal((k, 6))) for k in (n, m))
  logits = np.float32(random.standard_normal((m, 5)))
  pixels = random.integers(0, 255, (2 * max(n, m), 16)).astype(np.uint8)
  spatial = {'spatial': x[:, :3]}, {'spatial': y[:, :3]}
  return metrics.Comparison(
    feature_set(
      x, logits=logits[:1].repeat(n, 0), pixels=pixels[:n], **spatial[0]
    ),
    feature_set(y, logits=logits, pixels=pixels[-m:], **spatial[1]),
    train,
    test,
    bootstrap=bootstrap,
  )


def features(random, n=113, m=134, d=12):
  x = random.standard_normal((n, d))
  return np.float32(x), np.float32(random.standard_normal((m, d)) * 0.9 + 0.2)


def with_duplicates(random):
  """Sets that repeat themselves and each other, nearest neighbours too."""
  x, y = features(random, 90, 70)
  x = np.concatenate([x, x[:9], x[:9], y[:5]])
  return x, np.concatenate([y, x[:30], x[:10], y[:8], y[:8], y[:8]])


def with_outlier(random, size):
  """A real image far from all others, which are compared as if without it."""
  x, y = features(random)
  x[0] = size
  return x, y


PAIRS = {
  'plain': features,
  'duplicates': with_duplicates,
  'wide': lambda random: features(random, 30, 20, 200),
  'one feature': lambda random: features(random, d=1),
  'offset': lambda random: tuple(
    np.round(f, 3) + np.float32(2.0**13) for f in features(random)
  ),
  'outlier': lambda random: with_outlier(random, 1e8),
  'far outlier': lambda random: with_outlier(random, 1e10),
  'repeated': lambda random: (
    np.repeat(features(random)[0][:1], 113, axis=0),
    features(random)[1],
  ),
}
