"""Reading ordinary image files: JPEG, PNG and whatever else Pillow decodes."""

from __future__ import annotations

import os
import warnings
from typing import Any
from typing import BinaryIO

import numpy as np
from PIL import Image

from chainer_zoo.errors import UserError
from chainer_zoo.files import open_regular

#: The formats that are opened. Pillow decodes each of them itself; for others, such as EPS, it
#: would run another program.
FORMATS = (
    'AVIF BMP DDS DIB GIF ICNS ICO IM JPEG JPEG2000 MPO MSP PCX PIXAR PNG PPM PSD QOI SGI SUN TGA '
    'TIFF WEBP XBM XPM'
).split()

#: Larger images are refused: preparing one would take gigabytes.
MOST_PIXELS = 100_000_000
MOST_BYTES = 2**30  # of a file: more than so many pixels take in any format

_PNG_DEPTH = 24  # where a PNG file says its bits a channel
_EXIF_ORIENTATION = 0x0112
#: How an image is turned upright, by its EXIF orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_square(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an image file and cut out its largest centred square.

    The image is turned as its EXIF orientation says. Grey becomes three equal channels; grey of
    more than 8 bits is stretched from its darkest to its brightest pixel. What is transparent
    shows white. Of an animation, the first image is read.

    Args:
        path: a file in one of :data:`FORMATS`.

    Returns:
        uint8 (3, N, N), channels red, green, blue.

    Raises:
        UserError: there is no such file, it is no image, damaged or too large, or it has pixels
            that are not finite.
    """
    Image.init()  # Pillow learns of its less common formats
    with open_regular(path) as file, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of large images and odd metadata
        try:
            return _read_square(path, file)
        except UserError:
            raise
        except Image.UnidentifiedImageError as e:
            raise UserError(f'{path} is no image that Pillow can read (JPEG, PNG, ...)') from e
        except Image.DecompressionBombError as e:
            raise _too_large(path) from e
        except MemoryError as e:
            raise UserError(f'{path} takes more memory than there is') from e
        except Exception as e:  # a damaged file leads Pillow's decoders to errors of any class
            words = str(e).strip() or type(e).__name__
            raise UserError(f'{path} is damaged: {words.splitlines()[0]}') from e


def _read_square(path: str | os.PathLike[str], file: BinaryIO) -> np.ndarray:
    if os.fstat(file.fileno()).st_size > MOST_BYTES:
        raise _too_large(path)
    with Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN]) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise _too_large(path)
        image: Image.Image = opened
        image.load()  # PNG may have its orientation after its pixels
        transparent = _transparent(image, file)
        turn = _TURNS.get(_orientation(image))
        if turn is not None:
            image = image.transpose(turn)
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        if image.mode.startswith(('I', 'F')):
            values = np.asarray(image)
            low, high = _extremes(path, values, transparent)
            square = values[top : top + side, left : left + side]
            return np.stack([_eight_bits(square, low, high, transparent)] * 3)
        box = (left, top, left + side, top + side)
        rgb = np.asarray(_on_white(image.crop(box), transparent))  # (N, N, 3)
        return np.ascontiguousarray(rgb.transpose(2, 0, 1))


def _too_large(path: str | os.PathLike[str]) -> UserError:
    return UserError(f'{path} is too large: an image has at most {MOST_PIXELS:,} pixels here')


def _orientation(image: Image.Image) -> Any:
    """Return the EXIF orientation; None if there is none that can be read."""
    try:
        return image.getexif().get(_EXIF_ORIENTATION)
    except Exception:  # damaged metadata, which says nothing of the pixels
        return None


def _transparent(image: Image.Image, file: BinaryIO) -> Any:
    """Return which value is transparent, as ``image`` has it; None if there is no single one.

    Pillow stretches or cuts a PNG's values to 8 bits, but leaves the transparent value as it was.
    """
    value = image.info.get('transparency')
    if value is None or image.format != 'PNG':
        return value
    file.seek(_PNG_DEPTH)
    depth = file.read(1)[0]
    if image.mode == 'L':
        return value * 255 // (2**depth - 1)
    if image.mode == 'RGB' and depth == 16:
        return tuple(level >> 8 for level in value)
    return value


def _extremes(
    path: str | os.PathLike[str], values: np.ndarray, transparent: int | None
) -> tuple[float, float]:
    """Return the darkest and the brightest level that can be seen; 0 and 0 if there is none."""
    visible = values if transparent is None else values[values != transparent]
    low, high = (float(visible.min()), float(visible.max())) if visible.size else (0.0, 0.0)
    if not np.isfinite([low, high]).all():
        raise UserError(f'{path} has pixels that are not finite (NaN or infinite)')
    return low, high


def _eight_bits(values: np.ndarray, low: float, high: float, transparent: int | None) -> np.ndarray:
    """Return grey (H, W) of more than 8 bits as uint8; Pillow would cut it off at 255."""
    levels = np.empty(values.shape, np.uint8)
    for row, out in zip(values, levels):  # the whole image as float64 would take much memory
        stretched = np.round((row.astype(np.float64) - low) * 255 / (high - low or 1))
        out[...] = (
            stretched if transparent is None else np.where(row == transparent, 255, stretched)
        )
    return levels


def _on_white(image: Image.Image, transparent: Any) -> Image.Image:
    """Return an image of 8 bits as RGB, on white where it is transparent."""
    if transparent is not None:
        image.info['transparency'] = transparent
    elif image.mode in ('La', 'RGBa'):  # colours that are multiplied by alpha
        image = image.convert(image.mode.upper())
    if transparent is not None or image.mode in ('LA', 'PA', 'RGBA'):
        image = image.convert('RGBA')
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
    return image if image.mode == 'RGB' else image.convert('RGB')
