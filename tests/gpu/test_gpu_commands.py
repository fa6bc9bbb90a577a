"""Commands that take ``-g`` say on a GPU what they say on a CPU."""

import re

import numpy as np
import pytest
from PIL import Image

import chainer_zoo
from chainer_zoo import commands
from chainer_zoo.legacy import model_file
from chainer_zoo.report import golden

pytestmark = pytest.mark.gpu

MODEL = ['--model', 'resnext', '-C', '2', '-d', '4', '-multi', '2']


@pytest.fixture
def saved(tmp_path):
    model = chainer_zoo.build('resnext', C=2, d=4, multiplier=2)
    golden.fill_model(model)
    model_file.save(tmp_path / 'a.model', model)
    return MODEL + ['-m', str(tmp_path / 'a.model')]


def both(capsys, *words):
    """Return the numbers that a command prints on the GPU and on the CPU."""
    said = []
    for where in (['-g', '0'], ['--cpu', 'numpy']):
        capsys.readouterr()
        assert commands.main(list(words) + where) == 0
        said.append([float(n) for n in re.findall(r'\d+\.\d+', capsys.readouterr().out)])
    assert len(said[0]) == len(said[1]) > 2
    return said


def test_evaluate(saved, capsys):
    on_gpu, on_cpu = both(capsys, 'evaluate', '--dataset', 'shapes', '--limit_test', '64', *saved)
    assert on_gpu[0] == pytest.approx(on_cpu[0], rel=1e-3)  # the loss
    assert on_gpu[1] == pytest.approx(on_cpu[1], abs=3.2)  # per cent: two images on the brink


def test_predict(saved, tmp_path, capsys):
    y, x = np.mgrid[0:64, 0:64]
    image = str(tmp_path / 'a.png')
    Image.fromarray(np.stack([4 * y, 4 * x, 2 * (x + y)], axis=2).astype(np.uint8)).save(image)
    on_gpu, on_cpu = both(capsys, 'predict', image, *saved)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=0.1)


def test_profile(capsys):
    assert (
        commands.main(['profile', '--model', 'nin', '--batch', '2', '--steps', '1', '-g', '0']) == 0
    )
    said = capsys.readouterr().out
    assert 'Convolution2DFunction' in said and 'on cupy' in said
