"""Plain float64 NumPy and SciPy twins of the kernels."""

import numpy as np
import scipy.linalg
import scipy.spatial
from scipy.spatial.distance import cdist
import scipy.special
import scipy.stats


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


def gaussian_mmd(x, y, bandwidth, biased=False):
  k = lambda a, b: np.exp(  # noqa: E731
    -cdist(a, b, 'sqeuclidean') / (2 * bandwidth**2)
  )
  x, y = np.float64(x), np.float64(y)
  within = [
    k(f, f).mean()
    if biased
    else scipy.spatial.distance.squareform(k(f, f), checks=False).mean()
    for f in (x, y)
  ]
  return sum(within) - 2 * k(x, y).mean()


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


def mixture_nll(x, centres, log_variances):
  exponents = (
    -0.5 * cdist(x, centres, 'sqeuclidean') * np.exp(-log_variances)
    - x.shape[1] / 2 * log_variances
  )
  return np.log(len(centres)) - scipy.special.logsumexp(exponents, axis=1)


def adam(gradient, start, rates, clamp):
  """Adam on float64, with the loss beside the gradient; yields each state."""
  s, first, second = start, 0.0, 0.0
  for step, rate in enumerate(rates):
    loss, g = gradient(s)
    first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
    change = first / (1 - 0.9 ** (step + 1))
    change /= np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8
    s = np.clip(s - rate * change, *clamp)
    yield loss, s


def mixture_gradient(distances, width, log_weights, scale):
  def gradient(s):
    exponents = -0.5 * distances * np.exp(-s) - width / 2 * s + log_weights
    likelihood = scipy.special.logsumexp(exponents, axis=1)
    r = np.exp(exponents - likelihood[:, None])
    slope = (r * (0.5 * distances * np.exp(-s) - width / 2)).sum(0)
    return -likelihood.mean(), -slope / len(distances) * scale

  return gradient


def fls(train, baseline, test, y):
  every = np.concatenate([train, baseline, test, y])
  train, baseline, test, y = (
    (f - every.mean(0)) / every.std(0, ddof=1)
    for f in (train, baseline, test, y)
  )
  losses = []
  for centres in (y, baseline):
    gradient = mixture_gradient(
      cdist(train, centres, 'sqeuclidean'),
      train.shape[1],
      -np.log(len(centres)),
      1.0,
    )
    rates = [0.5] * 50 + [0.05] * 50
    *_, (_, s) = adam(gradient, np.zeros(len(centres)), rates, (-100, 20))
    losses.append(mixture_nll(test, centres, s).mean())
  return 100 * np.exp(-2 * (losses[0] - losses[1]) / train.shape[1])


def fld(train, test, y, order):
  mean, deviation = test.mean(0), test.std(0, ddof=1)
  train, test, y = ((f - mean) / deviation for f in (train, test, y))
  d = train.shape[1]

  def fitted(train, centres):
    distances = cdist(train, centres, 'sqeuclidean')
    to_mean = cdist(train, train.mean(0)[None], 'sqeuclidean')
    start = np.log((distances.min(0) + 1e-3) / d)
    gradient = mixture_gradient(
      np.hstack([distances, 0.81 * to_mean]),
      d,
      np.append(np.full(len(centres), -np.log(len(centres))), 0.0),
      1 / d,
    )
    losses = []
    states = adam(gradient, np.append(start, 0.0), [0.5] * 50, (-40, 40))
    for step, (loss, s) in enumerate(states):
      losses.append(loss / d)
      log_variances = s[:-1]
      if step > 5 and np.abs(np.array(losses[-5:]) - losses[-1]).max() < 5e-4:
        break
    return log_variances

  s = fitted(train, y)
  shuffled = train[order]
  half = min(len(y), len(train) // 2)
  base = mixture_nll(
    test, shuffled[:half], fitted(shuffled[half:], shuffled[:half])
  ).mean()
  on_test, on_train = (mixture_nll(f, y, s).mean() for f in (test, train))
  return (
    100 * (on_test - base) / d,
    100 * (on_train - base) / d,
    100 * (on_train - on_test) / d,
  )


def copying_in_cells(train, test, y, train_cells, test_cells, y_cells):
  total = weight = 0
  for cell in range(train_cells.max() + 1):
    t, p, q = (
      f[cells == cell]
      for f, cells in (
        (train, train_cells),
        (test, test_cells),
        (y, y_cells),
      )
    )
    if len(q) <= 20:
      continue
    u = scipy.stats.mannwhitneyu(
      cdist(q, t).min(1), cdist(p, t).min(1), alternative='less'
    ).statistic
    m, n = len(q), len(p)
    z = (u - m * n / 2 + 0.5) / np.sqrt(m * n * (m + n + 1) / 12)
    total += z * n / len(test)
    weight += n / len(test)
  return total / weight


def clipped_density(x, y, k):
  own = cdist(x, x)
  np.fill_diagonal(own, np.inf)
  order = np.argsort(own, axis=1)[:, :k]
  radius = np.take_along_axis(own, order, 1)[:, -1]
  radius = np.minimum(radius, np.median(radius))
  held = np.zeros(len(x))
  for i, neighbours in enumerate(order):
    held[neighbours[own[i, neighbours] <= radius[i]]] += 1
  made = (cdist(x, y) <= radius[:, None]).sum(0)
  clip = lambda counts: np.minimum(counts / k, 1).mean()  # noqa: E731
  return clip(made) / clip(held)


def frechet_infinity(x, y, sizes, seed):
  m = len(y)
  counts = np.linspace(min(5000, max(m // 10, 2)), m, sizes).astype('int32')
  random = np.random.default_rng(seed)
  distances = [
    frechet(x, random.choice(y, count, replace=False)) for count in counts
  ]
  slope, value = np.polyfit(1 / counts, distances, 1)
  return value, slope
