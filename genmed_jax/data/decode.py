"""Image files to arrays."""

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.webp')

# Pillow's greyscale modes: those kept as they are, and those turned into L.
_GREY = {'L', 'I;16', 'I;16B', 'I;16L', 'I;16N', 'I', 'F'}
_TO_GREY = {'1', 'LA', 'La'}


def read_image(path: Path) -> np.ndarray:
  """Decodes an image file.

  Colour is kept as RGB, palettes are looked up, alpha is dropped, EXIF
  orientation is applied, 16-bit and floating greyscale keeps its depth. Of a
  camera's MPO the first picture is taken.

  Returns:
    ``[h, w, 1]`` or ``[h, w, 3]``; uint8, uint16, int32 or float32.

  Raises:
    Exception: whatever Pillow raises for a broken file; ``ValueError`` for
      one with several frames, which have no single image to give, and for
      16-bit colour, of which Pillow keeps 8 bits.
  """
  with Image.open(path) as image:
    frames = getattr(image, 'n_frames', 1)
    if frames > 1 and image.format != 'MPO':
      raise ValueError(f'it has {frames} frames where one image is expected')
    if ';16' in str(image.tile) and image.mode not in _GREY:
      raise ValueError('it has 16-bit colour, which would be cut to 8 bits')
    image = ImageOps.exif_transpose(image)
    if image.mode in _TO_GREY:
      image = image.convert('L')
    elif image.mode not in _GREY:
      image = image.convert('RGB')
    pixels = np.asarray(image)
  pixels = pixels.astype(pixels.dtype.newbyteorder('='), copy=False)
  return pixels[:, :, None] if pixels.ndim == 2 else pixels


def image_size(path: Path) -> tuple[int, int]:
  """Height and width of what :func:`read_image` gives, out of the header."""
  with Image.open(path) as image:
    width, height = image.size
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
  return (width, height) if turned else (height, width)
