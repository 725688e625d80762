"""Plain float64 NumPy and SciPy twins of the kernels."""

import numpy as np
import scipy.linalg
from scipy.spatial.distance import cdist


def frechet(x, y):
  x, y = np.float64(x), np.float64(y)
  cov_x, cov_y = np.cov(x.T), np.cov(y.T)
  root = scipy.linalg.sqrtm(cov_x)
  cross = root @ cov_y @ root
  eigenvalues = np.maximum(np.linalg.eigvalsh((cross + cross.T).real / 2), 0)
  difference = x.mean(0) - y.mean(0)
  return (
    difference @ difference
    + np.trace(cov_x)
    + np.trace(cov_y)
    - 2 * np.sqrt(eigenvalues).sum()
  )


def mmd(x, y):
  x, y = np.float64(x), np.float64(y)
  n, m, d = len(x), len(y), x.shape[1]
  k = lambda a, b: (a @ b.T / d + 1) ** 3  # noqa: E731
  within = lambda g: g.sum() - np.trace(g)  # noqa: E731
  return (
    within(k(x, x)) / (n * (n - 1))
    + within(k(y, y)) / (m * (m - 1))
    - 2 * k(x, y).mean()
  )


def kid(x, y, subsets, size, seed):
  random = np.random.RandomState(seed)
  values = []
  for _ in range(subsets):
    one = x[random.choice(len(x), size, replace=False)]
    other = y[random.choice(len(y), size, replace=False)]
    values.append(mmd(one, other))
  return np.mean(values), np.std(values)


def radii(x, k):
  return np.sort(cdist(np.float64(x), np.float64(x)), axis=1)[:, k]


def prdc(x, y, k):
  distances = cdist(np.float64(x), np.float64(y))
  radius_x, radius_y = radii(x, k), radii(y, k)
  inside = distances < radius_x[:, None]
  return {
    'precision': inside.any(0),
    'recall': (distances < radius_y).any(1),
    'density': inside.sum(0) / k,
    'coverage': distances.min(1) < radius_x,
  }


def realism(x, y, k):
  radius = radii(x, k)
  kept = radius < np.median(radius)
  distances = cdist(np.float64(x)[kept], np.float64(y))
  with np.errstate(divide='ignore', invalid='ignore'):
    ratios = radius[kept, None] / distances
  return np.nan_to_num(ratios, nan=0.0, posinf=np.inf).max(0)


def authentic(train, y):
  distances = cdist(np.float64(train), np.float64(y))
  return distances.min(0) > radii(train, 1)[distances.argmin(0)]


def inception_score(logits, splits, seed):
  p = scipy.special.softmax(np.float64(logits), axis=1)
  n = len(p)
  p = p[np.random.RandomState(seed).permutation(n)]
  scores = []
  for s in range(splits):
    part = p[s * n // splits : (s + 1) * n // splits]
    kl = part * (np.log(part) - np.log(part.mean(0)))
    scores.append(np.exp(kl.sum(1).mean()))
  return np.mean(scores), np.std(scores)


def vendi(y, orders):
  y = np.float64(y)
  y = y / np.linalg.norm(y, axis=1, keepdims=True)
  eigenvalues = np.linalg.eigvalsh(y @ y.T / len(y))
  eigenvalues = eigenvalues[eigenvalues > 1e-12]
  scores = []
  for q in orders:
    if q == 1:
      scores.append(np.exp(-np.sum(eigenvalues * np.log(eigenvalues))))
    elif q == np.inf:
      scores.append(1 / eigenvalues.max())
    else:
      scores.append(np.sum(eigenvalues**q) ** (1 / (1 - q)))
  return scores


def sliced_wasserstein(x, y):
  """Closed form; the second moments are about the means."""
  x, y = np.float64(x), np.float64(y)
  difference = x.mean(0) - y.mean(0)
  gap = np.sqrt(x.var(0).mean()) - np.sqrt(y.var(0).mean())
  return np.sqrt(np.mean(difference**2) + gap**2)
