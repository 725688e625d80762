import numpy as np
import pytest


@pytest.fixture
def images(random):
  return random.integers(0, 255, (6, 8, 9)).astype(np.uint8)
