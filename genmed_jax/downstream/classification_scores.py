"""Scores of multi-label predictions."""

import numpy as np

from genmed_jax.downstream.labels import IGNORED


def auroc(scores: np.ndarray, labels: np.ndarray) -> float | None:
  r"""Area under the ROC curve, the share of pairs that are ordered right.

  .. math:: \frac{\sum_{i \in P} r_i - |P| (|P| + 1) / 2}{|P| |N|}

  with r the ranks of the scores, ties sharing theirs: exact, no curve drawn.

  Args:
    scores: ``[n]``.
    labels: ``[n]``, 1 or 0.

  Returns:
    The area; None where there is one label only.
  """
  positive = labels == 1
  count, others = int(positive.sum()), int((~positive).sum())
  if not count or not others:
    return None
  from scipy import stats

  ranks = stats.rankdata(scores)
  above = ranks[positive].sum() - count * (count + 1) / 2
  return float(above / (count * others))


def classification_scores(
  probabilities: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]
) -> dict:
  """CheXGenBench's scores of a multi-label classifier.

  A class is predicted where its probability is at least a half. Micro averages
  pool the decisions of all classes, macro averages those of each. Classes with
  one label only have no AUROC; they are left out of every macro average and
  named.

  Args:
    probabilities: ``[n, k]``.
    labels: ``[n, k]``: 1, 0, or -1 for what does not count.
    classes: ``[k]`` names.

  Returns:
    ``accuracy`` (of decisions), ``precision``, ``recall``, ``f1``
    and ``auroc`` each ``_micro`` and ``_macro``, ``per_class`` and
    ``left_out``.
  """
  guesses, counted = probabilities >= 0.5, labels != IGNORED
  per_class, left_out = {}, []
  for k, name in enumerate(classes):
    rows = counted[:, k]
    area = auroc(probabilities[rows, k], labels[rows, k])
    if area is None:
      left_out.append(name)
      continue
    per_class[name] = {'auroc': area} | _rates(
      guesses[rows, k], labels[rows, k]
    )
  pooled = _rates(guesses[counted], labels[counted])
  scores = {'accuracy': pooled.pop('accuracy')}
  for name in pooled:
    scores[f'{name}_micro'] = pooled[name]
    scores[f'{name}_macro'] = _mean([c[name] for c in per_class.values()])
  scores['auroc_micro'] = auroc(probabilities[counted], labels[counted])
  scores['auroc_macro'] = _mean([c['auroc'] for c in per_class.values()])
  return scores | {'per_class': per_class, 'left_out': left_out}


def _rates(guesses: np.ndarray, labels: np.ndarray) -> dict[str, float]:
  """Accuracy, precision, recall and F1; 0 where nothing was found or there."""
  truth = labels == 1
  both = np.sum(guesses & truth)
  found, there = np.sum(guesses), np.sum(truth)
  return {
    'accuracy': float(np.mean(guesses == truth)),
    'precision': float(both / found) if found else 0.0,
    'recall': float(both / there) if there else 0.0,
    'f1': float(2 * both / (found + there)) if found + there else 0.0,
  }


def _mean(values: list[float]) -> float | None:
  return float(np.mean(values)) if values else None
