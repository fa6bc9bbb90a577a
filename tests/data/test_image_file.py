"""Image files become squares of three channels, or one line that says what is wrong with them."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL import ImageFile

from chainer_zoo.data import image_file
from chainer_zoo.data.image_file import read_square
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.errors import UserError


@pytest.fixture(scope='module')
def pixels():
    """uint8 (64, 48, 3), a smooth image, as files of photographs hold it."""
    y, x = np.mgrid[0:64, 0:48]
    return np.stack([4 * y, 5 * x, 2 * (x + y)], axis=2).astype(np.uint8)


def save(path, pixels, **kwargs):
    Image.fromarray(pixels).save(str(path), **kwargs)
    return str(path)


def png(depth, colour, rows, **chunks):
    """Return the bytes of a PNG file.

    Args:
        depth (int): bits a channel.
        colour (int): 0 grey, 2 RGB, 3 palette.
        rows (numpy.ndarray): big-endian or packed values (H, bytes or values).
        chunks (bytes): chunks before the pixels.
    """

    def chunk(name, data):
        data = name.encode() + data
        return struct.pack('>I', len(data) - 4) + data + struct.pack('>I', zlib.crc32(data))

    channels = 3 if colour == 2 else 1
    width = rows[0].nbytes * 8 // depth // channels
    header = struct.pack('>IIBBBBB', width, len(rows), depth, colour, 0, 0, 0)
    return b''.join(
        [b'\x89PNG\r\n\x1a\n', chunk('IHDR', header)]
        + [chunk(name, data) for name, data in chunks.items()]
        + [chunk('IDAT', zlib.compress(b''.join(b'\0' + row.tobytes() for row in rows)))]
        + [chunk('IEND', b'')]
    )


def test_the_largest_centred_square_is_cut_out(pixels, tmp_path):
    expected = pixels[8:56].transpose(2, 0, 1)
    for name, turned in (('tall.png', pixels), ('wide.png', pixels.transpose(1, 0, 2))):
        square = read_square(save(tmp_path / name, turned))
        assert square.dtype == np.uint8 and square.flags.c_contiguous
        np.testing.assert_array_equal(
            square, expected if name == 'tall.png' else expected.transpose(0, 2, 1)
        )


@pytest.mark.parametrize('size', [(1, 1), (3, 200), (31, 33), (640, 480)])
def test_images_of_any_size_are_taken(size, tmp_path):
    side = min(size)
    square = read_square(save(tmp_path / 'a.png', np.full(size + (3,), 9, np.uint8)))
    assert square.shape == (3, side, side)
    assert ImagePipeline('small').test(square[None]).shape == (1, 3, 32, 32)


def test_grey_becomes_three_equal_channels(pixels, tmp_path):
    grey = pixels[8:56, :, 0]
    square = read_square(save(tmp_path / 'a.png', grey))
    np.testing.assert_array_equal(square, np.stack([grey] * 3))


def test_16_bit_grey_is_not_cut_off_at_255(tmp_path):
    grey = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4369
    square = read_square(save(tmp_path / 'a.png', grey))
    np.testing.assert_array_equal(square[0], np.arange(16).reshape(4, 4) * 17)


@pytest.mark.parametrize('extension', ['png', 'webp', 'gif'])
def test_what_is_transparent_shows_white(extension, tmp_path):
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:4, :, 3] = 255  # the upper half is black, the lower half shows nothing
    square = read_square(
        save(
            tmp_path / ('a.' + extension),
            rgba,
            **({'lossless': True} if extension == 'webp' else {}),
        )
    )
    np.testing.assert_array_equal(square[:, :4], 0)
    np.testing.assert_array_equal(square[:, 4:], 255)


def test_half_transparent_is_mixed_with_white(tmp_path):
    grey_alpha = np.zeros((8, 8, 2), np.uint8)
    grey_alpha[..., 1] = 102  # of 255: 40% black on white
    square = read_square(save(tmp_path / 'a.png', grey_alpha))
    np.testing.assert_array_equal(square, 153)


@pytest.mark.parametrize(
    'orientation, undo',
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (6, lambda a: np.rot90(a, 3)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_images_are_turned_as_their_exif_orientation_says(orientation, undo, pixels, tmp_path):
    square = pixels[8:56]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / 'a.png', np.ascontiguousarray(square), exif=exif)
    np.testing.assert_array_equal(read_square(path), undo(square).transpose(2, 0, 1))


@pytest.mark.parametrize('extension', ['png', 'jpg', 'gif', 'bmp'])
def test_broken_files_are_told_in_one_line(extension, tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (48, 64, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, {'jpg': 'jpeg'}.get(extension, extension))
    path = tmp_path / ('a.' + extension)
    for tenth in range(10):
        path.write_bytes(file.getvalue()[: len(file.getvalue()) * tenth // 10])
        with pytest.raises(UserError) as caught:
            read_square(str(path))
        assert path.name in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('seed', range(40))
def test_flipped_bytes_never_end_in_a_traceback(seed, pixels, tmp_path):
    rng = np.random.RandomState(seed)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, ('png', 'jpeg', 'gif', 'tiff')[seed % 4])
    data = bytearray(file.getvalue())
    for i in rng.randint(0, len(data), 5):
        data[i] ^= 1 << rng.randint(8)
    path = tmp_path / 'a.png'
    path.write_bytes(bytes(data))
    try:
        square = read_square(str(path))
    except UserError as error:
        assert 'a.png' in str(error) and '\n' not in str(error)
    else:
        assert square.ndim == 3 and square.shape[1] == square.shape[2]


def test_other_files_are_refused(tmp_path):
    (tmp_path / 'a.txt').write_text('no image')
    with pytest.raises(UserError, match='no image that Pillow can read'):
        read_square(str(tmp_path / 'a.txt'))
    with pytest.raises(UserError, match='it is a folder'):
        read_square(str(tmp_path))
    with pytest.raises(UserError, match='No such file'):
        read_square(str(tmp_path / 'none.png'))


@pytest.mark.parametrize('width, height', [(30000, 30000), (10001, 10000), (2**31 - 1, 1)])
def test_an_image_that_unpacks_to_gigabytes_is_refused(width, height, tmp_path):
    data = png(8, 2, np.zeros((1, 3), np.uint8))
    header = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    data = data[:12] + header + struct.pack('>I', zlib.crc32(header)) + data[33:]
    (tmp_path / 'huge.png').write_bytes(data)
    with pytest.raises(UserError, match='huge.png is too large: .* at most 100,000,000 pixels'):
        read_square(tmp_path / 'huge.png')


def test_an_image_is_as_large_as_the_limit_at_most(pixels, tmp_path, monkeypatch):
    path = save(tmp_path / 'a.png', pixels)
    monkeypatch.setattr(image_file, 'MOST_PIXELS', 64 * 48)
    assert read_square(path).shape == (3, 48, 48)
    monkeypatch.setattr(image_file, 'MOST_PIXELS', 64 * 48 - 1)
    with pytest.raises(UserError, match='too large'):
        read_square(path)


def test_a_file_of_gigabytes_is_refused_unread(tmp_path):
    path = tmp_path / 'a.webp'
    path.write_bytes(b'RIFF\xff\xff\xff\x7fWEBPVP8 ')
    os.truncate(path, 2**40)  # takes no room on the disk
    with pytest.raises(UserError, match='a.webp is too large'):
        read_square(path)


# a grey level is transparent in the upper half; Pillow leaves the level as the file says it
@pytest.mark.parametrize('depth, level', [(1, 0), (1, 1), (2, 1), (4, 9), (8, 100), (16, 100)])
def test_a_transparent_grey_level_shows_white(depth, level, tmp_path):
    other = (level + 2**depth // 2) % 2**depth
    values = np.repeat([[level], [other]], 4, axis=0) * np.ones((1, 8), int)
    if depth == 16:
        rows = values.astype('>u2')
    else:
        bits = (values[..., None] >> np.arange(depth)[::-1]) & 1
        rows = np.packbits(bits.reshape(8, -1), axis=1)
    (tmp_path / 'a.png').write_bytes(png(depth, 0, rows, tRNS=struct.pack('>H', level)))
    square = read_square(tmp_path / 'a.png')
    np.testing.assert_array_equal(square[:, :4], 255)
    # the one level that can be seen is its own darkest, where grey is stretched
    np.testing.assert_array_equal(
        square[:, 4:], 0 if depth == 16 else other * 255 // (2**depth - 1)
    )


def test_16_bit_grey_is_stretched_by_what_can_be_seen(tmp_path):
    values = np.array([[0, 0, 0], [1000, 1100, 1200], [1255, 1255, 1255]], '>u2')
    (tmp_path / 'a.png').write_bytes(png(16, 0, values, tRNS=struct.pack('>H', 0)))
    np.testing.assert_array_equal(
        read_square(tmp_path / 'a.png')[0], [[255, 255, 255], [0, 100, 200], [255, 255, 255]]
    )


def test_grey_of_which_all_is_transparent_is_white(tmp_path):
    values = np.full((4, 4), 7, '>u2')
    (tmp_path / 'a.png').write_bytes(png(16, 0, values, tRNS=struct.pack('>H', 7)))
    np.testing.assert_array_equal(read_square(tmp_path / 'a.png'), 255)


@pytest.mark.parametrize('depth, colour', [(8, (5, 200, 7)), (16, (300, 40000, 5))])
def test_a_transparent_colour_shows_white(depth, colour, tmp_path):
    values = np.zeros((8, 8, 3), '>u2' if depth == 16 else 'u1')
    values[:4] = colour
    values[4:] = 2 ** (depth - 1)
    (tmp_path / 'a.png').write_bytes(
        png(depth, 2, values.reshape(8, -1), tRNS=struct.pack('>HHH', *colour))
    )
    square = read_square(tmp_path / 'a.png')
    np.testing.assert_array_equal(square[:, :4], 255)
    np.testing.assert_array_equal(square[:, 4:], 128)


def test_a_transparent_colour_of_a_palette_shows_white(tmp_path):
    rows = np.repeat([[0], [1]], 4, axis=0).astype(np.uint8) * np.ones((1, 8), np.uint8)
    data = png(8, 3, rows, PLTE=bytes([10, 20, 30, 40, 50, 60]), tRNS=bytes([0, 255]))
    (tmp_path / 'a.png').write_bytes(data)
    square = read_square(tmp_path / 'a.png')
    np.testing.assert_array_equal(square[:, :4], 255)
    np.testing.assert_array_equal(square[:, 4, 0], [40, 50, 60])


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('where', [(0, 0), (45, 60)])  # also outside of the centre
def test_a_float_image_with_a_value_that_is_not_finite_is_refused(value, where, tmp_path):
    grey = np.linspace(0, 1, 90 * 120, dtype=np.float32).reshape(90, 120)
    path = save(tmp_path / 'a.tif', grey)
    assert read_square(path).max() > 200
    grey[where] = value
    with pytest.raises(UserError, match=r'a.tif has pixels that are not finite \(NaN or infinite'):
        read_square(save(tmp_path / 'a.tif', grey))


@pytest.mark.parametrize('scale', [1e-38, 1, 1e38])
@pytest.mark.parametrize('dtype', [np.float32, np.int32])
def test_grey_of_32_bits_is_stretched_to_8(dtype, scale, tmp_path):
    if dtype is np.int32:
        scale = 8_000_000
    grey = (np.arange(-128, 128).reshape(16, 16) * dtype(scale) / dtype(128)).astype(dtype)
    np.testing.assert_array_equal(
        read_square(save(tmp_path / 'a.tif', grey))[2], np.arange(256).reshape(16, 16)
    )


def exif(orientation, *resolution):
    """Return EXIF data with an orientation and a horizontal resolution, a quotient."""
    tags = struct.pack('<HHIHH', 0x0112, 3, 1, orientation, 0)
    tags += struct.pack('<HHII', 0x011A, 10, 1, 8 + 2 + 2 * 12 + 4)
    return b'Exif\0\0II*\0\x08\0\0\0\x02\0' + tags + bytes(4) + struct.pack('<ii', *resolution)


@pytest.mark.parametrize('resolution', [(72, 1), (-1, 0), (0, 0), (1, -1), (2**31 - 1, 1)])
@pytest.mark.parametrize('extension', ['jpg', 'png', 'webp'])
def test_an_image_is_turned_whatever_else_its_exif_says(resolution, extension, pixels, tmp_path):
    upright = read_square(save(tmp_path / ('a.' + extension), np.rot90(pixels, 3)))
    path = save(tmp_path / ('b.' + extension), pixels, exif=exif(6, *resolution))
    # JPEG's and WebP's losses are not those of the turned image
    np.testing.assert_allclose(
        read_square(path).astype(int), upright, atol=0 if extension == 'png' else 40
    )


@pytest.mark.parametrize(
    'data', [b'', b'Exif\0\0', b'Exif\0\0XX*\0', exif(6, 1, 1)[:20], exif(9, 1, 1), exif(0, 1, 1)]
)
def test_an_image_whose_exif_cannot_be_read_is_left_as_it_stands(data, pixels, tmp_path):
    plain = read_square(save(tmp_path / 'a.jpg', pixels))
    np.testing.assert_array_equal(read_square(save(tmp_path / 'b.jpg', pixels, exif=data)), plain)


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError('Failed to decode frame'),
        SyntaxError('not a TIFF file'),
        struct.error('unpack requires a buffer of 4 bytes'),
        OverflowError('int too large\nto convert'),
        ZeroDivisionError(),
        KeyError('mode'),
        AttributeError('x'),
        RecursionError('depth'),
        zlib.error('Error -3'),
        EOFError(),
        AssertionError(),
        OSError('broken data stream'),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_pillow_raises_is_one_line_that_names_the_file(
    error, pixels, tmp_path, monkeypatch
):
    def fail(self):
        raise error

    path = save(tmp_path / 'a.png', pixels)
    monkeypatch.setattr(ImageFile.ImageFile, 'load', fail)
    with pytest.raises(UserError, match='a.png is damaged: .') as caught:
        read_square(path)
    assert '\n' not in str(caught.value)


def test_too_little_memory_is_one_line(pixels, tmp_path, monkeypatch):
    def fail(self):
        raise MemoryError

    path = save(tmp_path / 'a.png', pixels)
    monkeypatch.setattr(ImageFile.ImageFile, 'load', fail)
    with pytest.raises(UserError, match='a.png takes more memory than there is'):
        read_square(path)


EPS = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n'
WMF = (
    struct.pack('<IHhhhhHIH', 0x9AC6CDD7, 0, 0, 0, 8, 8, 72, 0, 0) + bytes([1, 0, 9, 0]) + bytes(80)
)


@pytest.mark.parametrize('data', [EPS, WMF], ids=['EPS', 'WMF'])
def test_formats_that_pillow_hands_to_other_programs_are_not_opened(data, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError('another program was started')

    monkeypatch.setattr('subprocess.Popen', fail)
    monkeypatch.setattr('subprocess.check_call', fail)
    (tmp_path / 'a.png').write_bytes(data)
    with pytest.raises(UserError, match='a.png is no image that Pillow can read'):
        read_square(tmp_path / 'a.png')


def test_every_format_is_one_that_pillow_knows_or_left_out_of_this_pillow():
    Image.init()
    known = set(Image.OPEN)
    assert {'BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP'} <= known & set(image_file.FORMATS)
    assert not {'EPS', 'WMF', 'BUFR', 'GRIB', 'HDF5'} & set(image_file.FORMATS)


def test_pillows_warnings_are_not_shown(pixels, tmp_path, monkeypatch):
    path = save(tmp_path / 'a.png', pixels)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 64 * 48 - 1)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        read_square(path)


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'RGB', 'RGBA', 'CMYK', 'LAB', 'LA', 'I;16'])
def test_an_image_of_any_mode_that_tiff_has_is_read(mode, tmp_path):
    Image.new(mode, (8, 8)).save(str(tmp_path / 'a.tif'))
    assert read_square(tmp_path / 'a.tif').shape == (3, 8, 8)
