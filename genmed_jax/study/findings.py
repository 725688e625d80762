"""Published findings on metrics, checked on a study's own effects."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from genmed_jax.study.verdicts import CLEAR, Effect, RESPONDS, SATURATES

_DISTANCES = ('fd', 'fid', 'kid')
_MANIFOLDS = ('precision', 'recall', 'density', 'coverage')
_COUNTS = ('vendi', 'vendi_0.5', 'vendi_inf', 'rke')
_NOISES = ('gaussian', 'rician', 'poisson')
_LOCAL = ('boundary_blur', 'radial_gradient')


class Finding(NamedTuple):
  """A published finding, as a condition on effects.

  Attributes:
    text: The claim.
    families: Perturbations it is about.
    metrics: Metrics it is about, of those that were scored.
    holds: Whether an effect is as claimed.
    enough: Whether ``all`` or ``any`` of them must be, or some but not all.
  """

  text: str
  families: tuple[str, ...]
  metrics: tuple[str, ...]
  holds: Callable[[Effect], bool]
  enough: Callable[[Iterable[bool]], bool] = all


def _rises(effect: Effect) -> bool:
  return effect.verdict in (RESPONDS, SATURATES)


def _saturates(effect: Effect) -> bool:
  return effect.verdict == SATURATES


def _lowered(effect: Effect) -> bool:
  return effect.percent_changes[-1] < 0


def _raised(effect: Effect) -> bool:
  return effect.percent_changes[-1] > 0


def _some_not_all(holds: Iterable[bool]) -> bool:
  return len({*holds}) == 2


def _barely_moves(effect: Effect) -> bool:
  return max(map(abs, effect.z_scores)) < CLEAR


FINDINGS = (
  Finding(
    'Fréchet and kernel distances rise with Gaussian and Rician noise.',
    ('gaussian', 'rician'),
    _DISTANCES,
    _rises,
  ),
  Finding(
    'Precision, recall, density and coverage saturate under noise.',
    ('gaussian', 'rician'),
    _MANIFOLDS,
    _saturates,
  ),
  Finding(
    'Copies of training images lower Fréchet and kernel distances: the set '
    'looks better. (Only where the reference holds them.)',
    ('external_duplication',),
    _DISTANCES,
    _lowered,
  ),
  Finding(
    'AuthPct falls and the memorisation index rises with copies of training '
    'images.',
    ('external_duplication',),
    ('authpct', 'memorised'),
    _rises,
  ),
  Finding(
    'Copies within the set move almost nothing but effective counts.',
    ('internal_duplication',),
    ('fd', 'fid', 'kid', 'mmd_rbf', 'asw', 'sw2', *_MANIFOLDS, 'authpct'),
    _barely_moves,
  ),
  Finding(
    'Copies within the set lower an effective count.',
    ('internal_duplication',),
    _COUNTS,
    _rises,
    any,
  ),
  Finding(
    'The loss of the rarest class lowers recall or coverage.',
    ('mode_collapse',),
    ('recall', 'coverage'),
    _rises,
    any,
  ),
  Finding(
    'The loss of classes lowers Fréchet and kernel distances: the set looks '
    'better.',
    ('mode_collapse',),
    _DISTANCES,
    _lowered,
  ),
  Finding(
    'Vendi scores and the extrapolated Fréchet distance barely move with '
    'noise.',
    _NOISES,
    ('vendi', 'fd_inf'),
    _barely_moves,
  ),
  Finding(
    'The Inception Score sees some kinds of noise and not others.',
    _NOISES,
    ('is',),
    _rises,
    _some_not_all,
  ),
  Finding(
    'AuthPct rises with invented modes: what no patient has is authentic.',
    ('mode_invention',),
    ('authpct',),
    _raised,
  ),
  Finding(
    'Whole-image metrics barely move when only a region is damaged.',
    _LOCAL,
    (*_DISTANCES, 'mmd_rbf', 'asw', 'sw2', *_MANIFOLDS),
    _barely_moves,
  ),
  Finding(
    'Metrics of the region respond where those of the whole image do not.',
    _LOCAL,
    ('roi_fd', 'roi_kid', 'roi_sharpness', 'roi_texture'),
    _rises,
  ),
  Finding(
    'The Dice predicted for masks of a segmenter falls with noise.',
    _NOISES,
    ('predicted_dice',),
    _rises,
  ),
  Finding(
    'It falls too when only the region is damaged.',
    _LOCAL,
    ('predicted_dice',),
    _rises,
  ),
  Finding(
    'Copies do not move it: images that are copied are as good.',
    ('external_duplication', 'internal_duplication'),
    ('predicted_dice',),
    _barely_moves,
  ),
)


class Outcome(NamedTuple):
  """A finding here.

  Attributes:
    finding: The claim.
    verdict: ``holds``, ``holds in part`` or ``does not hold``.
    effects: Those it is about.
    against: Those of them that are not as claimed.
  """

  finding: Finding
  verdict: str
  effects: list[Effect]
  against: list[Effect]


def outcomes(effects: list[Effect]) -> list[Outcome]:
  """Every finding that the study has effects for."""
  found = []
  for finding in FINDINGS:
    about = [
      effect
      for effect in effects
      if effect.family in finding.families and effect.metric in finding.metrics
    ]
    against = [effect for effect in about if not finding.holds(effect)]
    if finding.enough(effect not in against for effect in about):
      verdict = 'holds'
    elif 0 < len(against) < len(about):
      verdict = 'holds in part'
    else:
      verdict = 'does not hold'
    if about:
      found.append(Outcome(finding, verdict, about, against))
  return found
