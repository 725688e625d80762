"""Sets on which statistics break: a number, or a reason, but never a bug."""

import json

import numpy as np
import pytest

from genmed_jax import metrics
from genmed_jax.metrics.registry import attempt, floor, score
from tests.metrics.sets import feature_set

_ZEROS = np.zeros((40, 6), np.float32)
_NORMAL, _OTHER = np.float32(
  np.random.default_rng(0).standard_normal((2, 40, 6))
)
_HALF_ZEROS = np.where(np.arange(40)[:, None] < 20, 0, _OTHER)
_TWO = np.repeat(_NORMAL[:2], 20, axis=0)
_OUTLIER = _NORMAL.copy()
_OUTLIER[0] = 1e12

# Real and generated features.
SETS = {
  'zeros': (_ZEROS, _ZEROS),
  'zeros generated': (_NORMAL, _ZEROS),
  'zeros real': (_ZEROS, _NORMAL),
  'half zeros': (_NORMAL, _HALF_ZEROS),
  'one image again and again': (_NORMAL, _NORMAL[:1].repeat(40, 0)),
  'two images again and again': (_TWO, _TWO),
  'two equal constants': (_ZEROS + 3, _ZEROS + 3),
  'two other constants': (_ZEROS + 3, _ZEROS + 4),
  'copies': (_NORMAL, _NORMAL),
  'one image': (_NORMAL[:1], _OTHER[:1]),
  'two images': (_NORMAL[:2], _OTHER[:2]),
  'seven images': (_NORMAL[:7], _OTHER[:7]),
  'one feature': (_NORMAL[:, :1], _OTHER[:, :1]),
  'an outlier': (_OUTLIER, _OTHER),
  'large': (_NORMAL * np.float64(1e25), _OTHER * np.float64(1e25)),
  'small': (_NORMAL * np.float64(1e-25), _OTHER * np.float64(1e-25)),
  'float16': (np.float16(_NORMAL), np.float16(_OTHER)),
  'constant features': (
    _NORMAL * (np.arange(6) != 5),
    _OTHER * (np.arange(6) % 3 != 2),
  ),
  'far away': (_NORMAL + np.float64(1e8), _OTHER + np.float64(1e8)),
}


def comparison(x, y):
  sets = (
    feature_set(
      np.ascontiguousarray(each),
      logits=each,
      spatial=each[:, :3].copy(),
      pixels=np.zeros((len(each), 16), np.uint8),
    )
    for each in (x, y)
  )
  return metrics.Comparison(*sets, bootstrap=20)


@pytest.mark.parametrize('case', SETS)
def test_a_number_or_a_reason(case):
  compared = comparison(*SETS[case])
  for name, metric in metrics.METRICS.items():
    found = attempt(score, metric, compared)
    for each in (found, attempt(floor, metric, compared)):
      assert not each.failed, (name, each.notes)
      json.dumps(each, allow_nan=False)
      assert each.value is not None or each.notes, name
    if found.interval:
      error, low, high = found.interval
      assert error >= 0, name
      assert low <= found.value <= high or np.isclose(low, high), name
