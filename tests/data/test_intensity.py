import numpy as np
import pytest

from genmed_jax.data.intensity import as_float, parse_intensity

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def test_dtype_keeps_integers_and_unit_floats():
  by_dtype = parse_intensity('dtype')
  for image in (GREY, GREY.astype(np.uint16), np.float32(GREY) / 255):
    np.testing.assert_array_equal(by_dtype(image), image)
    assert by_dtype(image).dtype == image.dtype
  np.testing.assert_array_equal(by_dtype(GREY > 100) // 255, GREY > 100)


@pytest.mark.parametrize(
  'image',
  [np.float32(GREY), GREY.astype(np.int32), np.float32([[-0.1, 1.0]])],
)
def test_dtype_refuses_numbers_without_a_range(image):
  with pytest.raises(ValueError, match='by `intensity`, one of minmax'):
    parse_intensity('dtype')(image)


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('minmax', [0, 0.25, 0.5, 0.75, 1]),
    ('window:20,20', [0, 0, 0.5, 1, 1]),
    ('percentile:25,75', [0, 0, 0.5, 1, 1]),
  ],
)
def test_stretches(text, expected):
  stretched = parse_intensity(text)(np.array([0, 10, 20, 30, 40]))
  assert stretched.dtype == np.float32
  np.testing.assert_allclose(stretched, expected)


def test_flat_image_stretches_to_black():
  assert not parse_intensity('minmax')(np.full((2, 2), 7)).any()


def test_not_finite_is_refused():
  with pytest.raises(ValueError, match='not finite'):
    parse_intensity('minmax')(np.array([0.0, np.nan]))


@pytest.mark.parametrize(
  'text',
  ['', 'max', 'minmax:1', 'percentile:1', 'percentile:9,1', 'window:0,0',
   'window:a,b', 'dtype:1', 'window:nan,1', 'window:0,inf'],
)  # fmt: skip
def test_unknown_intensity(text):
  with pytest.raises(ValueError, match='accepted are dtype, minmax'):
    parse_intensity(text)


@pytest.mark.parametrize(
  'image', [GREY, GREY.astype(np.uint16) * 257, np.float32(GREY) / 255]
)
def test_every_kind_of_number_is_a_float_of_one_range(image):
  found = as_float(parse_intensity('dtype')(image))
  assert found.dtype == np.float32
  np.testing.assert_allclose(found, GREY / 255, rtol=1e-6)
