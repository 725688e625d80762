"""The rows of results."""

from typing import NamedTuple

from genmed_jax.report.files import file_stem
from genmed_jax.statistics.direction import Direction

# Name of all images together, among those of groups.
OVERALL = 'overall'


class Result(NamedTuple):
  """One metric of one comparison; None where undefined.

  Attributes:
    generated: Name of the generated set.
    features: Name of the feature network.
    group: Images that were compared, ``overall`` or a group's.
    metric: Name of the metric.
    value: Its value.
    std_error: Standard error of the value.
    ci_low: Lower end of its 95 % interval.
    ci_high: Upper end.
    floor: The metric between disjoint parts of the reference.
    floor_std_error: Spread of the floor over splits into parts.
    floor_n: Images in a part.
    value_at_floor_n: The generated set's value at that size.
    excess: How much worse it is than the floor, in units of what chance does:
      sets of fresh real images are within 2 in about 95 of 100 cases.
    direction: Which values are better: lower, higher or target:0.
    n_reference: Number of real images.
    n_generated: Number of generated ones.
    note: What to know of the value.
  """

  generated: str
  features: str
  group: str
  metric: str
  value: float | None
  std_error: float | None
  ci_low: float | None
  ci_high: float | None
  floor: float | None
  floor_std_error: float | None
  floor_n: int | None
  value_at_floor_n: float | None
  excess: float | None
  direction: Direction
  n_reference: int
  n_generated: int
  note: tuple[str, ...]


def samples_file(name: str) -> str:
  """The file of a generated set's scores of single images."""
  return f'samples_{file_stem(name)}.csv'
