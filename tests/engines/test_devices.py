"""Where to compute: what is not there is said in a line, and a GPU is set up for speed."""

import sys
import types
import warnings

import chainer
import pytest
from chainer.backends import cuda

from chainer_zoo import engines
from chainer_zoo.engines import devices
from chainer_zoo.engines.gpu import library
from chainer_zoo.errors import UserError


def cupy_with(count):
    """CuPy as far as it is asked; ``count`` is a number of GPUs or an error."""

    def get():
        if isinstance(count, Exception):
            raise count
        return count

    cupy = types.ModuleType('cupy')
    cupy.cuda = types.SimpleNamespace(runtime=types.SimpleNamespace(getDeviceCount=get))
    return cupy


@pytest.mark.parametrize(
    'cupy,said',
    [
        (None, 'CuPy is not installed'),
        (cupy_with(RuntimeError('no device\nmore')), r'no GPU can be used \(no device\)'),
        (cupy_with(1), 'there are 1 GPUs'),
        (cupy_with(2), r'CuPy lacks a library of CUDA \(libcublas is missing\)'),
    ],
)
def test_a_gpu_that_cannot_be_used(monkeypatch, cupy, said):
    monkeypatch.setitem(sys.modules, 'cupy', cupy)
    monkeypatch.setattr(cuda, 'available', False)
    monkeypatch.setattr(
        cuda, '_resolution_error', ImportError('libcublas is missing\nmore'), raising=False
    )
    for ask in devices.must_exist, devices.find:
        with pytest.raises(UserError, match='^-g 1: ' + said):
            ask(1)


def test_the_cpu_is_always_there():
    assert devices.find(-1) == chainer.get_device('@numpy')


@pytest.mark.parametrize(
    'theirs,ours,said',
    [
        (True, 'Chainer has cuDNN', ''),
        (False, None, ''),
        (False, 'cuDNN 9 does not load', 'without cuDNN, which is slower (cuDNN 9 does not load)'),
    ],
)
def test_a_gpu_is_set_up_for_speed(monkeypatch, capsys, theirs, ours, said):
    sizes = []
    monkeypatch.setattr(engines.GPU, '_printed', [])
    monkeypatch.setattr(engines.GPU, 'why_not', lambda: ours)
    monkeypatch.setattr(chainer.global_config, 'autotune', False)
    monkeypatch.setattr(cuda, 'set_max_workspace_size', sizes.append)
    monkeypatch.setattr(cuda, 'cudnn_enabled', theirs)
    with warnings.catch_warnings():
        assert devices.choose_engine('auto', 0) == 'cupy'
    assert chainer.config.autotune and sizes == [library.WORKSPACE]
    printed = capsys.readouterr().out
    assert said in printed and bool(said) == bool(printed)
