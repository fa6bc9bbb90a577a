"""The doctor says what is there, and for what is missing the command that fixes it."""

import argparse
import sys
import types

import chainer
import numpy as np
import pytest

from chainer_zoo import compat
from chainer_zoo import engines
from chainer_zoo import jit
from chainer_zoo.commands import doctor


def report(capsys):
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser, [])
    assert doctor.run(parser.parse_args([])) == 0
    found, _, remedies = capsys.readouterr().out.partition('\nTo fix:\n')
    return tuple(
        dict(line.split('  ', 1) for line in text.splitlines()) for text in (found, remedies)
    )


def stripped(findings):
    return {name: text.strip() for name, text in findings.items()}


class CUDARuntimeError(RuntimeError):
    pass


def fake_cupy(version, devices):
    """CuPy as far as the doctor asks it; ``devices`` is a list of names, or an error."""

    def count():
        if isinstance(devices, Exception):
            raise devices
        return len(devices)

    runtime = types.SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        getDeviceCount=count,
        getDeviceProperties=lambda number: {
            'name': devices[number].encode(),
            'major': 8,
            'minor': 6,
            'totalGlobalMem': 24 * 2**30,
        },
    )
    cupy = types.ModuleType('cupy')
    cupy.__version__ = version
    cupy.cuda = types.SimpleNamespace(runtime=runtime)
    return cupy


@pytest.fixture
def machine(monkeypatch):
    """Set up what the doctor finds: driver, CuPy, and Chainer's idea of both."""

    def machine(driver, cupy, available=True, cudnn=True, error=None):
        monkeypatch.setattr(compat, 'cuda_driver', lambda: driver)
        monkeypatch.setattr(doctor, 'driver_version', lambda: None)
        monkeypatch.setitem(sys.modules, 'cupy', cupy)
        monkeypatch.setattr(
            chainer.backends,
            'cuda',
            types.SimpleNamespace(
                available=available,
                cudnn_enabled=cudnn,
                _resolution_error=error,
                _cudnn_disabled_by_user=False,
                libcudnn=types.SimpleNamespace(getVersion=lambda: 8907),
            ),
        )

    return machine


def test_versions_of_what_is_here(capsys):
    found, _ = map(stripped, report(capsys))
    assert found['numpy'] == np.__version__ and found['chainer'] == chainer.__version__
    assert found['Python'].startswith('{}.{}.'.format(*sys.version_info))
    assert 'cores' in found['processor'] and found['BLAS'] and found['oneDNN'] and found['Numba']


def test_a_machine_without_gpu(machine, capsys, monkeypatch):
    machine(None, None, available=False)
    version = doctor.version
    monkeypatch.setattr(doctor, 'version', lambda p: None if 'cupy' in p else version(p))
    found, remedies = map(stripped, report(capsys))
    assert found['GPU driver'] == 'none' and found['CuPy'] == 'none'
    assert '-g -1' in remedies['GPU driver'] and '[cuda12]' in remedies['CuPy']
    assert 'cuDNN' not in found


def test_a_machine_where_all_is_well(machine, capsys):
    machine((12, 4), fake_cupy('13.6.0', ['NVIDIA A10', 'NVIDIA A10']))
    found, remedies = map(stripped, report(capsys))
    assert found['GPU driver'] == 'for CUDA 12.4' and found['CuPy'] == '13.6.0'
    assert found['GPU 1'] == 'NVIDIA A10, compute capability 8.6, 24 GiB'
    assert found['cuDNN'] == '8.9.7'
    assert not {'GPU driver', 'CuPy', 'cuDNN', 'GPU 0', 'GPU 1'} & set(remedies)


def test_the_drivers_own_number(machine, capsys, monkeypatch):
    def get(text, size):
        text.value = b'550.54.15'
        return status

    status = 0
    library = types.SimpleNamespace(
        nvmlInit_v2=lambda: 0, nvmlShutdown=lambda: 0, nvmlSystemGetDriverVersion=get
    )
    ask = doctor.driver_version
    machine((12, 4), fake_cupy('13.6.0', ['T4']))
    monkeypatch.setattr(doctor.ctypes, 'CDLL', lambda name: library)
    monkeypatch.setattr(doctor, 'driver_version', ask)
    monkeypatch.setattr(engines.CPU, 'why_not', lambda: None)
    assert report(capsys)[0]['GPU driver'].strip() == '550.54.15, for CUDA 12.4'
    status = 9
    assert ask() is None
    library.nvmlInit_v2 = lambda: 1
    assert ask() is None


def test_an_old_driver(machine, capsys):
    machine((11, 8), fake_cupy('13.6.0', CUDARuntimeError('insufficient\ndriver')))
    found, remedies = map(stripped, report(capsys))
    assert found['GPU'] == 'none: insufficient'
    assert '525' in remedies['GPU driver'] and 'nvidia-smi' in remedies['GPU']


def test_cuda_libraries_missing(machine, capsys):
    machine(
        (12, 4),
        fake_cupy('13.6.0', ['T4']),
        available=False,
        error=ImportError('libcublas.so.12: cannot open'),
    )
    found, remedies = map(stripped, report(capsys))
    assert found['Chainer on CuPy'] == 'off: libcublas.so.12: cannot open'
    assert 'LD_LIBRARY_PATH' in remedies['Chainer on CuPy']


def test_cudnn_missing(machine, capsys):
    machine((12, 4), fake_cupy('13.6.0', ['T4']), cudnn=False, error=ImportError('no libcudnn'))
    found, remedies = map(stripped, report(capsys))
    assert found['cuDNN'] == 'none: no libcudnn'
    assert remedies['cuDNN'].startswith('pip install nvidia-cudnn-cu12==8.9')


@pytest.mark.parametrize('cuda,package', [(12090, 'cu12'), (13020, 'cu13')])
def test_cudnn_9_with_cupy_14(cuda, package, machine, capsys, monkeypatch):
    cupy = fake_cupy('14.0.1', ['T4'])
    cupy.cuda.runtime.runtimeGetVersion = lambda: cuda
    machine((13, 0), cupy, cudnn=False)
    monkeypatch.setattr(engines.GPU, 'why_not', lambda: 'cuDNN 9 does not load')
    found, remedies = map(stripped, report(capsys))
    assert found['cuDNN'] == 'none: cuDNN 9 does not load'
    assert remedies['cuDNN'].startswith(f'pip install nvidia-cudnn-{package}==9.*, ')
    monkeypatch.setattr(engines.GPU, 'why_not', lambda: None)
    monkeypatch.setattr(engines.GPU, 'version', lambda: '9.19.0')
    found, remedies = map(stripped, report(capsys))
    assert found['cuDNN'] == '9.19.0' and 'cuDNN' not in remedies
    monkeypatch.setattr(doctor, 'find_devices', lambda *_: [doctor.Finding('GPU', 'none', None)])
    assert 'cuDNN' not in report(capsys)[0]


@pytest.mark.parametrize('cupy', ['13.6.0', '14.0.1'])
def test_cudnn_that_the_environment_forbids(cupy, machine, capsys, monkeypatch):
    machine((13, 0), fake_cupy(cupy, ['T4']), cudnn=False)
    monkeypatch.setattr(doctor.chainer.backends.cuda, '_cudnn_disabled_by_user', True)
    found, remedies = map(stripped, report(capsys))
    assert found['cuDNN'] == 'none: CHAINER_CUDNN=0 is set'
    assert remedies['cuDNN'] == 'unset CHAINER_CUDNN'


def test_a_broken_cupy(machine, capsys, monkeypatch):
    machine((12, 4), None, available=False)
    monkeypatch.setattr(doctor, 'version', lambda package: '13.6.0')
    found, _ = map(stripped, report(capsys))
    assert found['CuPy'].startswith('does not load: ')


def test_a_missing_package_onednn_and_numba(machine, capsys, monkeypatch):
    machine(None, None, available=False)
    monkeypatch.setattr(doctor, 'version', lambda package: None)
    monkeypatch.setattr(engines.CPU, 'why_not', lambda: 'libdnnl.so.3 is not there')
    monkeypatch.setattr(jit, 'why_not', lambda: 'Numba needs NumPy 2.5 or less')
    monkeypatch.setattr(doctor.platform, 'system', lambda: 'Linux')
    monkeypatch.setattr(doctor.platform, 'machine', lambda: 'x86_64')
    found, remedies = map(stripped, report(capsys))
    assert found['tqdm'] == 'missing' and remedies['tqdm'] == 'pip install tqdm'
    assert remedies['oneDNN'].startswith('pip install onednn-cpu-gomp')
    assert found['Numba'] == 'Numba needs NumPy 2.5 or less' and 'numba' in remedies['Numba']
    monkeypatch.setattr(doctor.platform, 'machine', lambda: 'arm64')
    assert stripped(report(capsys)[1])['oneDNN'].startswith('nothing to do')


@pytest.mark.parametrize(
    'reason, packages',
    [
        ('libgomp.so.1: cannot open shared object file: No such file', 'libgomp1'),
        ('libstdc++.so.6: cannot open shared object file: No such file', 'libstdc++6'),
        ('libgcc_s.so.1: cannot open; libgomp.so.1: cannot open', 'libgomp1 libgcc-s1'),
    ],
)
def test_a_system_library_is_missing_and_not_the_package(reason, packages, capsys, monkeypatch):
    monkeypatch.setattr(engines.CPU, 'why_not', lambda: reason)
    monkeypatch.setattr(doctor, 'version', lambda package: '1.0')
    monkeypatch.setattr(doctor.platform, 'system', lambda: 'Linux')
    monkeypatch.setattr(doctor.platform, 'machine', lambda: 'x86_64')
    found, remedies = map(stripped, report(capsys))
    assert found['oneDNN'] == reason and remedies['oneDNN'] == 'apt install ' + packages
    monkeypatch.setattr(doctor, 'version', lambda package: None)
    assert stripped(report(capsys)[1])['oneDNN'].startswith('pip install onednn')


def test_the_end_of_an_installation_says_what_the_cpu_lacks_and_nothing_else(capsys, monkeypatch):
    monkeypatch.setattr(jit, 'why_not', lambda: None)
    compiled: list = []
    monkeypatch.setattr(jit, 'loops', compiled.append)
    monkeypatch.setattr(engines.CPU, 'why_not', lambda: None)
    doctor.prepare()
    assert capsys.readouterr().out == ''
    monkeypatch.setattr(engines.CPU, 'why_not', lambda: 'libgomp.so.1: cannot open')
    doctor.prepare()
    assert 'oneDNN' in capsys.readouterr().out
    assert compiled == ['chainer_zoo.engines.cpu.loops']


def test_blas_of_an_older_numpy(monkeypatch):
    monkeypatch.delattr(np.__config__, 'CONFIG', raising=False)
    monkeypatch.setattr(
        np.__config__,
        'get_info',
        lambda name: {'libraries': ['openblas', 'openblas']} if name == 'openblas_info' else {},
        raising=False,
    )
    assert doctor.blas() == 'openblas'
