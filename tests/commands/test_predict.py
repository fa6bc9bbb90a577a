"""predict names the classes of ordinary image files."""

import io
import struct
import zlib

import chainer
import chainer.functions as F
import numpy as np
import pytest
from PIL import Image

import chainer_zoo
from chainer_zoo import commands
from chainer_zoo.commands.predict import read_square
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.errors import UserError
from chainer_zoo.functions import noise
from chainer_zoo.legacy import model_file
from chainer_zoo.report import golden

OPTIONS = {'C': 2, 'd': 4, 'multiplier': 2}


@pytest.fixture(scope='module')
def model():
    model = chainer_zoo.build('resnext', **OPTIONS)
    golden.fill_model(model)
    return model


@pytest.fixture(scope='module')
def pixels():
    """uint8 (64, 48, 3), a smooth image, as files of photographs hold it."""
    y, x = np.mgrid[0:64, 0:48]
    return np.stack([4 * y, 5 * x, 2 * (x + y)], axis=2).astype(np.uint8)


@pytest.fixture
def command(model, tmp_path):
    path = tmp_path / 'a.model'
    model_file.save(path, model)
    return [
        'predict',
        '--model',
        'resnext',
        '-C',
        '2',
        '-d',
        '4',
        '-multi',
        '2',
        '--cpu',
        'numpy',
        '-m',
        str(path),
    ]


def save(path, pixels, **kwargs):
    Image.fromarray(pixels).save(str(path), **kwargs)
    return str(path)


def test_the_mean_of_swapouts_softmaxes_is_shown_as_it_is(pixels, tmp_path, capsys):
    model = chainer_zoo.build('swapout', depth=8, k=1)
    golden.fill_model(model)
    path = str(tmp_path / 'a.model')
    model_file.save(path, model)
    image = save(tmp_path / 'square.png', pixels[8:56])
    flags = ['--model', 'swapout', '--depth', '8', '-k', '1', '--cpu', 'numpy', '-m', path]
    noise.generator.seed(0)
    assert commands.main(['predict', *flags, image]) == 0
    shown = [float(line.split()[0][:-1]) for line in capsys.readouterr().out.splitlines()[1:]]
    noise.generator.seed(0)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        expected = model(ImagePipeline('small').test(pixels[8:56].transpose(2, 0, 1)[None])).array
    np.testing.assert_allclose(shown, sorted(100 * expected[0], reverse=True), atol=0.0051)


def test_probabilities_are_the_softmax_of_the_models_logits(
    model, command, pixels, tmp_path, capsys
):
    square = save(tmp_path / 'square.png', pixels[8:56])
    whole = save(tmp_path / 'whole.png', pixels)  # the same after its centre is cut out
    assert commands.main(command + [square, whole]) == 0
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        x = ImagePipeline('small').test(pixels[8:56].transpose(2, 0, 1)[None])
        expected = F.softmax(model(x)).array[0]
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], lines[11]] == [square, whole]
    assert lines[1:11] == lines[12:]
    shown = [line.split() for line in lines[1:11]]
    names = [
        'airplane',
        'automobile',
        'bird',
        'cat',
        'deer',
        'dog',
        'frog',
        'horse',
        'ship',
        'truck',
    ]
    assert [name for _, name in shown] == [names[i] for i in np.argsort(-expected, kind='stable')]
    np.testing.assert_allclose(
        [float(p.rstrip('%')) for p, _ in shown], 100 * np.sort(expected)[::-1], atol=6e-3
    )
    assert sum(float(p.rstrip('%')) for p, _ in shown) == pytest.approx(100, abs=0.06)


def test_only_the_likeliest_classes_under_names_of_ones_own(command, pixels, tmp_path, capsys):
    path = save(tmp_path / 'a.png', pixels)
    assert commands.main(command + ['--top', '3', '--names', 'a,b,c,d,e,f,g,h,i,j', path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and all(line.split()[1] in 'abcdefghij' for line in lines[1:])


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--model', 'resnxt'], 'did you mean resnext'),
        (['-C', '3'], 'not a ResNeXt of these options'),
        (['--names', 'cat,dog'], 'not a ResNeXt of these options'),
        (['--n_class', '10', '--names', 'cat,dog'], '2 names for 10 classes'),
        (['-m', 'nowhere.model'], 'nowhere.model: No such file'),
    ],
)
def test_mistakes_are_told_in_one_line(command, pixels, tmp_path, capsys, arguments, words):
    path = save(tmp_path / 'a.png', pixels)
    try:
        status = commands.main(command + arguments + [path])
    except SystemExit as error:  # the parser's own way out
        status = error.code
    assert status == 2
    message = capsys.readouterr().err
    assert words in message and message.count('\n') == 1


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
    with pytest.raises(UserError, match='directory'):
        read_square(str(tmp_path))
    with pytest.raises(UserError, match='No such file'):
        read_square(str(tmp_path / 'none.png'))


def test_a_image_that_unpacks_to_gigabytes_is_refused(tmp_path):
    header = b'IHDR' + struct.pack('>IIBBBBB', 30000, 30000, 8, 2, 0, 0, 0)
    (tmp_path / 'huge.png').write_bytes(
        b'\x89PNG\r\n\x1a\n'
        + struct.pack('>I', 13)
        + header
        + struct.pack('>I', zlib.crc32(header))
        + struct.pack('>I', 0)
        + b'IDAT'
    )
    with pytest.raises(UserError, match='too large'):
        read_square(str(tmp_path / 'huge.png'))
