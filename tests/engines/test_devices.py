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
    monkeypatch.setattr(engines.GPU, '_printed', False)
    monkeypatch.setattr(engines.GPU, 'why_not', lambda: ours)
    monkeypatch.setattr(chainer.global_config, 'autotune', False)
    monkeypatch.setattr(cuda, 'set_max_workspace_size', sizes.append)
    monkeypatch.setattr(cuda, 'cudnn_enabled', theirs)
    with warnings.catch_warnings():
        assert devices.choose_engine('auto', 0) == 'cupy'
    assert chainer.config.autotune and sizes == [library.WORKSPACE]
    printed = capsys.readouterr().out
    assert said in printed and bool(said) == bool(printed)


@pytest.mark.parametrize('engine_on', [False, True])
@pytest.mark.parametrize('autotune', [False, True])
def test_what_a_choice_changes_for_the_whole_process_is_taken_back(
    autotune, engine_on, engine, monkeypatch
):
    monkeypatch.setattr(chainer.global_config, 'autotune', autotune)
    monkeypatch.setattr(chainer.global_config, engines.CPU._key, engine_on)
    filters = list(warnings.filters)
    # what this thread was told beside does not become what holds everywhere
    with engines.CPU.using(not engine_on), chainer.using_config('autotune', not autotune):
        for cpu, gpu in ('numpy', -1), ('onednn', -1), ('auto', 0):
            with pytest.raises(ZeroDivisionError), devices.restored():
                devices.choose_engine(cpu, gpu)
                raise ZeroDivisionError
    assert chainer.global_config.autotune == autotune
    assert engines.CPU.is_enabled() == engine_on
    assert warnings.filters == filters


def test_there_is_nothing_to_take_back_from_a_gpu_that_is_not_there(monkeypatch):
    class CUDARuntimeError(RuntimeError):
        pass

    def device():
        raise CUDARuntimeError('cudaErrorNoDevice')

    cupy = types.ModuleType('cupy')
    cupy.cuda = types.SimpleNamespace(
        Device=device, runtime=types.SimpleNamespace(CUDARuntimeError=CUDARuntimeError)
    )
    monkeypatch.setattr(cuda, 'available', True)
    monkeypatch.setattr(cuda, 'cupy', cupy, raising=False)
    monkeypatch.setattr(cuda, 'cudnn_enabled', False)
    with devices.restored():
        pass
