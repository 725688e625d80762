"""Errors that are the user's to mend, apart from those that are ours."""


class UsageError(ValueError):
  """Something the user gave cannot be used; the message says what is."""


class DecodeError(RuntimeError):
  """An image that cannot be used; the message names it."""
