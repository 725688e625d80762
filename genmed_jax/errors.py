"""The exceptions that are reported as one line: every other one is a bug."""


class UsageError(ValueError):
  """Something the user gave cannot be used; the message says what can be.

  A message names options in backticks, as Python writes them; commands print
  those as flags.
  """


class RunError(RuntimeError):
  """A run cannot go on; the message says why."""


class DecodeError(RunError):
  """An image that cannot be used; the message names it."""


class Undefined(ValueError):
  """A statistic is not defined for these sets; the message says why."""
