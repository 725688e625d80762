import numpy as np
import pytest

from genmed_jax import networks
from genmed_jax.data.formats import open_source


@pytest.fixture(scope='package')
def network(tmp_path_factory):
  return networks.load(
    'inception_v3_random:64', cache_dir=tmp_path_factory.mktemp('none')
  )


@pytest.fixture
def images(random):
  return random.integers(0, 255, (10, 24, 24)).astype(np.uint8)


@pytest.fixture
def source(images, image_folder):
  return open_source(str(image_folder('set', images)))
