import dataclasses
from pathlib import Path

import numpy as np
import pytest

from genmed_jax import options
from genmed_jax.errors import UsageError
from genmed_jax.options import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Base:
  """Options for tests."""

  text: str = option('a', help='Text.', group='G')
  names: tuple[str, ...] = option(('x',), help='Names.', group='G')
  count: int | None = option(None, help='Count.', group='G', at_least=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Base):
  """More of them."""

  rate: float = option(0.5, help='Rate.', group='H', at_most=1)
  kind: str = option('b', help='Kind.', group='H', choices=('b', 'c'))
  flag: bool = option(False, help='Flag.', group='H')
  sets: tuple[str, ...] = option((), help='Sets.', group='H', repeated=True)


@pytest.mark.parametrize(
  ('given', 'expected'),
  [
    ({'names': 'p,q'}, {'names': ('p', 'q')}),
    ({'names': ['p', 'q']}, {'names': ('p', 'q')}),
    ({'names': ''}, {'names': ()}),
    ({'text': Path('a/b')}, {'text': 'a/b'}),
    ({'rate': 1}, {'rate': 1}),
    ({'count': None, 'flag': True}, {'count': None, 'flag': True}),
  ],
)
def test_build(given, expected):
  assert options.build(Config, given) == Config(**expected)


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    ({'nmes': 'p'}, "unknown option 'nmes'; did you mean 'names'"),
    ({'text': 3}, '`text=3`: accepted is a str'),
    ({'count': 0}, '`count=0`: accepted is 1 or more'),
    ({'count': True}, '`count=True`: accepted is an int'),
    ({'flag': 1}, '`flag=1`: accepted is a bool'),
    ({'rate': 1.5}, '`rate=1.5`: accepted is 1 or less'),
    ({'kind': 'd'}, '`kind=.d.`: accepted is one of b, c'),
  ],
)
def test_build_refuses(given, message):
  with pytest.raises(UsageError, match=message):
    options.build(Config, given)


def test_flag_files_hold_what_is_not_none():
  config = Config(names=('p', 'q,r'), sets=('one', 'two=2'))
  assert options.flag_file(config).splitlines() == [
    '--text=a',
    '--names=p,"q,r"',
    '--rate=0.5',
    '--kind=b',
    '--flag=False',
    '--sets=one',
    '--sets=two=2',
  ]
  assert options.flag_file(Config(sets=(np.zeros(3),))) is None


def test_arrays_are_described_by_their_shape():
  config = Config(sets=(('name', np.zeros((3, 2), np.float32)),))
  assert options.described(config)['sets'] == [['name', 'array float32 [3, 2]']]


def test_narrowed_to_a_base():
  config = Config(text='z', count=4)
  assert options.narrowed(config, Base) == Base(text='z', count=4)
