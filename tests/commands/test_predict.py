"""predict names the classes of ordinary image files."""

import io
import os

import chainer
import chainer.functions as F
import numpy as np
import pytest
from PIL import Image

import chainer_zoo
from chainer_zoo import commands
from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.functions import noise
from chainer_zoo.legacy import model_file
from chainer_zoo.report import golden
from chainer_zoo.training.prediction import predict

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
        (['-m', '/dev/zero'], 'it is a device'),
        (['-m', 'a\0b'], 'no file can have this name'),
        (['-m', '\ud800'], 'no file can have this name'),
        (['-m', ''], 'must not be empty'),
        (['-m', 'a' * 300], 'File name too long'),
        (['--top', '0'], 'at least 1'),
        (['--top', '9' * 50], 'at most 1,000,000,000'),
        (['-g', '-2'], 'at least -1'),
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


def test_a_file_that_cannot_be_read_does_not_stop_the_others(command, pixels, tmp_path, capsys):
    good = [save(tmp_path / name, pixels) for name in ('first.png', 'last.png')]
    (tmp_path / 'damaged.png').write_bytes((tmp_path / 'first.png').read_bytes()[:100])
    os.mkfifo(tmp_path / 'pipe.png')
    bad = [str(tmp_path / name) for name in ('damaged.png', 'pipe.png', 'missing.png')]
    assert commands.main(command + ['--top', '1', good[0], *bad, good[1]]) == 2
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if not line.startswith(' ')] == good
    assert len(err.splitlines()) == 3
    for path, line in zip(bad, err.splitlines()):
        assert line.startswith('python -m chainer_zoo predict: ') and path in line


# what an archive of another system leaves: a line break, an escape, bytes that are no UTF-8
@pytest.mark.parametrize('name', ['写真.png', 'a\nb.png', 'a\x1b[31mb.png', 'caf\udce9.png'])
@pytest.mark.parametrize('encoding', ['ascii', 'shift-jis', 'utf-8', 'cp1252'])
def test_a_name_that_the_terminal_cannot_show_is_escaped(
    name, encoding, command, pixels, tmp_path, monkeypatch
):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    streams[1].reconfigure(errors='backslashreplace')  # as Python opens standard error
    monkeypatch.setattr('sys.stdout', streams[0])
    monkeypatch.setattr('sys.stderr', streams[1])
    good = save(tmp_path / 'good.png', pixels)
    os.rename(good, tmp_path / name)
    words = command + ['--top', '1', '--names', 'a,b,c,d,é,f,g,h,i,写', str(tmp_path / name)]
    assert commands.main(words + [str(tmp_path / ('no' + name))]) == 2
    said = []
    for stream in streams:
        stream.flush()
        said.append(stream.buffer.getvalue().decode(encoding).splitlines())
    assert [len(lines) for lines in said] == [2, 1]
    assert all('.png' in lines[0] and '\x1b' not in lines[0] for lines in said)


def test_averaged_probabilities_are_returned_as_they_are():
    class Averages(chainer.Chain):
        def forward(self, x):
            return chainer.Variable(np.array([[0.9, 0.1]], np.float32))

    model = Averages()
    entry = chainer_zoo.entry('swapout')
    x = np.zeros((1, 3, 8, 8), np.uint8)
    for sampling, expected in ((True, 0.9), (False, 1 / (1 + np.exp(-0.8)))):
        given = entry.gives_probabilities(entry.complete({'stochastic_inference': sampling}))
        p = predict(model, x, ImagePipeline('small'), given)
        assert p.shape == (1, 2) and p[0, 0] == pytest.approx(expected)


def test_only_swapout_gives_probabilities():
    assert [
        name
        for name in chainer_zoo.names()
        if chainer_zoo.entry(name).gives_probabilities(chainer_zoo.entry(name).complete({}))
    ] == ['swapout']
