import struct
import zlib

import numpy as np
from PIL import Image
import pytest

from genmed_jax.data.decode import image_size, read_image

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def saved(tmp_path, image, name='image.png', **options):
  path = tmp_path / name
  image.save(path, **options)
  return read_image(path)


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'tif', 'webp'])
@pytest.mark.parametrize('pixels', [GREY, RGB], ids=['grey', 'rgb'])
def test_lossless_formats_come_back_exactly(tmp_path, suffix, pixels):
  image = Image.fromarray(pixels)
  read = saved(
    tmp_path,
    image,
    f'i.{suffix}',
    **({'lossless': True} if suffix == 'webp' else {}),
  )
  if suffix == 'webp':  # Which has no greyscale.
    pixels = np.broadcast_to(pixels.reshape(3, 4, -1), (3, 4, 3))
  np.testing.assert_array_equal(read, pixels.reshape(3, 4, -1))


@pytest.mark.parametrize('name', ['i.png', 'i.tif'])
def test_16_bit_greyscale_keeps_its_depth(tmp_path, name):
  pixels = GREY.astype(np.uint16) * 250
  read = saved(tmp_path, Image.fromarray(pixels), name)
  assert read.dtype == np.uint16
  np.testing.assert_array_equal(read[..., 0], pixels)


def test_big_endian_tiff(tmp_path):
  pixels = GREY.astype(np.uint16) * 250
  image = Image.frombytes('I;16B', (4, 3), pixels.astype('>u2').tobytes())
  read = saved(tmp_path, image, 'i.tif')
  np.testing.assert_array_equal(read[..., 0], pixels)


def test_floating_tiff(tmp_path):
  pixels = GREY / np.float32(240)
  read = saved(tmp_path, Image.fromarray(pixels), 'i.tif')
  assert read.dtype == np.float32
  np.testing.assert_array_equal(read[..., 0], pixels)


def test_alpha_is_dropped_and_palettes_are_looked_up(tmp_path):
  alpha = np.dstack([RGB, np.full((3, 4), 9, np.uint8)])
  np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(alpha)), RGB)
  palette = Image.fromarray(RGB).quantize(12)
  np.testing.assert_array_equal(
    saved(tmp_path, palette), np.asarray(palette.convert('RGB'))
  )


def test_bilevel_is_black_and_white(tmp_path):
  read = saved(tmp_path, Image.fromarray(GREY > 100))
  np.testing.assert_array_equal(read[..., 0], np.where(GREY > 100, 255, 0))


def test_exif_orientation_is_applied(tmp_path):
  image = Image.fromarray(GREY)
  exif = image.getexif()
  exif[0x0112] = 6  # Turned a quarter clockwise to be seen upright.
  read = saved(tmp_path, image, exif=exif)
  np.testing.assert_array_equal(read[..., 0], np.rot90(GREY, -1))


@pytest.mark.parametrize('orientation', range(1, 9))
def test_the_header_tells_the_size_that_is_read(tmp_path, orientation):
  image = Image.fromarray(GREY)
  exif = image.getexif()
  exif[0x0112] = orientation
  read = saved(tmp_path, image, exif=exif)
  assert image_size(tmp_path / 'image.png') == read.shape[:2]


def test_several_frames_have_no_single_image(tmp_path):
  frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
  with pytest.raises(ValueError, match='2 frames'):
    saved(tmp_path, frames[0], 'i.tif', save_all=True, append_images=frames[1:])


def test_16_bit_colour_is_not_cut_in_silence(tmp_path):
  header = struct.pack('>IIBBBBB', 1, 1, 16, 2, 0, 0, 0)
  pixel = zlib.compress(bytes([0, 1, 2, 3, 4, 5, 6]))
  path = tmp_path / 'deep.png'
  path.write_bytes(
    b'\x89PNG\r\n\x1a\n'
    + b''.join(
      struct.pack('>I', len(body))
      + kind
      + body
      + struct.pack('>I', zlib.crc32(kind + body))
      for kind, body in ((b'IHDR', header), (b'IDAT', pixel), (b'IEND', b''))
    )
  )
  with pytest.raises(ValueError, match='16-bit colour'):
    read_image(path)
