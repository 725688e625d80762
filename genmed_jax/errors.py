"""The exceptions that are reported as one line: every other one is a bug."""


class UsageError(ValueError):
  """Something the user gave cannot be used; the message says what can be.

  A message names options in backticks, as Python writes them; commands print
  those as flags.
  """


class DecodeError(RuntimeError):
  """An image that cannot be used; the message names it."""


class TooFewImages(ValueError):
  """A set is too small, or too uniform, for a statistic to be defined."""
