"""The direction in which a metric is better."""

import enum


class Direction(enum.StrEnum):
  """The better values of a metric, in the words of the tables."""

  LOWER = 'lower'
  HIGHER = 'higher'
  ZERO = 'target:0'

  def badness(self, value):
    """A number, or an array of them, that is larger for worse values."""
    return {Direction.LOWER: value, Direction.HIGHER: -value}.get(
      self, abs(value)
    )
