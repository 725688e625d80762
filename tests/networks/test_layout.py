import numpy as np

from genmed_jax.networks import layout


def test_patches_come_back(random):
  images = random.random((2, 8, 12, 3))
  patches = layout.space_to_depth(images, 2)
  assert patches.shape == (2, 4, 6, 12)
  np.testing.assert_array_equal(layout.depth_to_space(patches, 2), images)
  np.testing.assert_array_equal(
    patches[0, 1, 2].reshape(2, 2, 3), images[0, 2:4, 4:6]
  )
