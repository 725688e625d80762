"""What a kernel takes of a chip, counted by hand, and how long that is.

XLA counts the body of a loop once, so kernels count for themselves: products,
elementwise operations, bytes from memory and bytes to other chips. Seconds
are those at a v5e's peak, one resource at a time; the longest bounds.
"""

from typing import NamedTuple

# A chip's rates a second. The vector unit has 8 x 128 lanes of four units at
# the clock that the matrix units' rate implies.
MATRIX = 197e12  # Of one pass in bfloat16.
VECTOR = 8 * 128 * 4 * 1.5e9
MEMORY = 819e9  # Bytes.
LINKS = 1.6e12 / 8  # Bytes over all links; a ring in one direction uses one.

MEMORY_BYTES = 15.75 * 2**30  # What libtpu leaves of 16 GiB to a program.

# Passes of the matrix units. float32 is cut into three pieces of bfloat16 and
# products of the smaller ones are left out; float64 is cut into eight, and
# blocks of two by two are multiplied by three products, as Karatsuba does.
_PASSES = {'bfloat16': 1, 'float32': 6, 'float64': 48}

# Bytes that an element of float64 takes until it is cut: it is read, its
# pieces are written and read in float32, and again in bfloat16.
CUT = 8 + 8 * 2 * (4 + 2)

EMULATED = 20  # Operations of float32 in one of float64.


class Work(NamedTuple):
  """Counts of one call on one chip.

  Attributes:
    bfloat16: Flops of products in bfloat16, or in float32 by one pass.
    float32: Flops of products in float32.
    float64: Flops of products in float64.
    elements: Elementwise operations, of float32.
    memory: Bytes read from memory and written to it.
    links: Bytes sent to other chips.
  """

  bfloat16: float = 0.0
  float32: float = 0.0
  float64: float = 0.0
  elements: float = 0.0
  memory: float = 0.0
  links: float = 0.0

  def __add__(self, other: 'Work') -> 'Work':
    """Counts of both, one after the other."""
    return Work(*(a + b for a, b in zip(self, other, strict=True)))

  @property
  def flops(self) -> float:
    """Of products, in whatever format."""
    return self.bfloat16 + self.float32 + self.float64

  @property
  def seconds(self) -> dict[str, float]:
    """Resource to the seconds for which it is busy."""
    passes = sum(getattr(self, name) * n for name, n in _PASSES.items())
    return {
      'products': passes / MATRIX,
      'elements': self.elements / VECTOR,
      'memory': self.memory / MEMORY,
      'links': self.links / LINKS,
    }

  @property
  def record(self) -> dict:
    """For a line of results."""
    seconds = self.seconds
    bound = max(seconds, key=seconds.get)
    return {
      'flops': self.flops,
      'elementwise_ops': self.elements,
      'hbm_bytes': self.memory,
      'ici_bytes': self.links,
      **{f'{name}_s': each for name, each in seconds.items()},
      'bound': bound,
      'bound_s': seconds[bound],
    }


def pass_over(
  rows: float, width: int, doubles: int, *, tile: int = 256, whole: float = 0.0
) -> Work:
  """One pass over float32 rows.

  Args:
    rows: On the chip.
    width: Features.
    doubles: Operations of float64 an element takes.
    tile: Rows in a tile.
    whole: Bytes that each tile reads, and writes, beside its rows.
  """
  return Work(
    elements=rows * width * doubles * EMULATED,
    memory=4 * rows * width + rows / tile * whole,
  )


def pairs(
  rows: float,
  columns: float,
  width: int,
  elements: float,
  *,
  dtype: str = 'float32',
  tile: int = 1000,
) -> Work:
  """Products of a chip's rows with columns, and what is made of each.

  A tile of columns is read, and cut if it is float64, for each tile of rows;
  products stay on the chip.
  """
  count = rows * columns
  size = CUT if dtype == 'float64' else 4
  return Work(
    elements=count * elements,
    memory=width * (size * count / tile + 4 * rows),
  )._replace(**{dtype: 2.0 * width * count})


def around(chips: int, hops: int, rows: float, bytes_a_row: float) -> Work:
  """Blocks of rows that go from chip to chip; none does on one."""
  return Work(links=hops * rows * bytes_a_row if chips > 1 else 0.0)


def exact(chips: int, rows: float, others: float, k: int, width: int) -> Work:
  """Distances to ``k`` partners in float64: at each hop all are gathered."""
  gathered = chips * rows * k * width
  return Work(elements=3 * EMULATED * gathered, memory=4 * gathered) + around(
    chips, chips, others, 4 * width
  )


def summed(chips: int, size: float) -> Work:
  """Bytes that are summed over the chips, as a ring does it."""
  return Work(links=2 * size * (chips - 1) / chips)
