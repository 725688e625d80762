"""Meshes of every kind of ring, and rows laid by hand."""

import jax
import pytest

from genmed_jax.engine import mesh as mesh_lib
from genmed_jax.engine.rows import Rows


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


@pytest.fixture(params=[1, 2, 3, 4], ids='{}dev'.format)
def ring(request):
  return mesh_lib.data_mesh(jax.devices()[: request.param])


@pytest.fixture
def lay():
  """Lays values and a mask over a mesh as they are: no padding is added."""

  def laid(mesh, values, mask):
    return Rows(*(mesh_lib.to_mesh(mesh, v) for v in (values, mask)))

  return laid
