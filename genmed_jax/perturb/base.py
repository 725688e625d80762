"""The contract of a family of perturbations."""

from collections.abc import Callable, Mapping
import dataclasses
import enum
import inspect


class ActsOn(enum.IntEnum):
  """The object of a perturbation, in the order of tables."""

  IMAGE = 0  # Pixels of the whole image.
  REGION = 1  # Pixels of the region of interest, given by a mask.
  SET = 2  # The choice of images in a set.


class Needs(enum.StrEnum):
  """Further inputs of an operator on a set."""

  TRAIN = 'train'  # Training images.
  CLASS = 'class'  # The class of every image.
  SCANNER = 'scanner'  # The scanner of every image.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
  """The declaration of a family.

  Attributes:
    name: Its key, of which its random draws depend.
    operator: The perturbation: of images ``(key, images, *, level)``, of
      regions ``(key, images, masks, *, level)``, of sets ``(key, base, *,
      level)``, ``(key, base, train, *, level)`` or ``(key, pool, labels, n, *,
      level)`` by what it needs.
    levels: Of the established protocol.
    acts_on: Its object.
    needs: Further inputs of an operator on a set.
    severity: Level to its distance from what real images are.
    accepts: Whether a number is a level.
    accepted: The numbers that are, in words.
    choices: Constants of the operator that the images decide, which have no
      default, to what they may be.
  """

  name: str
  operator: Callable
  levels: tuple[float, ...]
  acts_on: ActsOn
  needs: Needs | None = None
  severity: Callable[[float], float] = float
  accepts: Callable[[float], bool] = lambda level: level > 0
  accepted: str = 'levels above 0'
  choices: Mapping[str, tuple[str, ...]] = dataclasses.field(
    default_factory=dict
  )

  @property
  def constants(self) -> list[str]:
    """Keywords of the operator beside the level."""
    return [
      name
      for name, parameter in inspect.signature(self.operator).parameters.items()
      if parameter.kind is parameter.KEYWORD_ONLY and name != 'level'
    ]


def is_share(level: float) -> bool:
  """Whether a level is a share in percent, between none and all."""
  return 0 < level < 100


SHARES = 'shares in percent, above 0 and below 100'
