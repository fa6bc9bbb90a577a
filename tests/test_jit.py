import builtins
import ctypes
import importlib
import subprocess
import sys
import warnings

import numpy as np
import pytest

from chainer_zoo import jit

MODULE = """
from chainer_zoo import jit

@jit.compiled
def total(x):
    found = 0
    for i in range(len(x)):
        found += x[i]
    return found
"""
CALLBACK = """
import numba
from chainer_zoo import jit

@jit.callback
def double(address):
    x = numba.carray(address, (3,), numba.float64)
    for i in range(3):
        x[i] *= 2
"""
CALL = 'import numpy, loops; print(loops.total(numpy.arange(5)), loops.total.stats.cache_hits)'


@pytest.fixture
def numba():
    return pytest.importorskip('numba')


@pytest.fixture
def asked_anew():
    """Let what is found out once be found out again, before and after a test."""
    jit.why_not.cache_clear()
    jit.loops.cache_clear()
    yield
    jit.why_not.cache_clear()
    jit.loops.cache_clear()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module with a compiled function, as a file."""
    path = tmp_path / 'loops.py'
    path.write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield path
    sys.modules.pop('loops', None)


def call(folder):
    """Call the compiled function in another process: its result, and calls that found code."""
    result = subprocess.run(
        [sys.executable, '-c', f'import sys; sys.path.append({str(folder)!r}); {CALL}'],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    value, hits = result.stdout.split(' ', 1)
    return int(value), 'int64' in hits


def test_only_the_first_process_compiles(numba, module):
    assert call(module.parent) == (10, False)
    assert call(module.parent) == (10, True)


@pytest.fixture
def callback(module):
    """A module with a callback, as a file."""
    module.write_text(CALLBACK)
    return module


def call_back(folder):
    """Call the callback in another process: its result, and whether its code was found."""
    result = subprocess.run(
        [
            sys.executable,
            '-c',
            (
                f'import ctypes, sys; sys.path.append({str(folder)!r}); import loops; '
                'x = (ctypes.c_double * 3)(1, 2, 3); '
                'ctypes.CFUNCTYPE(None, ctypes.c_void_p)(loops.double.address)(x); '
                'print(list(x), loops.double.cache_hits)'
            ),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    value, hits = result.stdout.rsplit(' ', 1)
    assert value == '[2.0, 4.0, 6.0]'
    return int(hits) == 1


def test_a_callback_is_compiled_by_the_first_process_only(numba, callback):
    assert not call_back(callback.parent)
    assert call_back(callback.parent)


@pytest.mark.parametrize('suffix', ['nbi', 'nbc'])
def test_a_kept_callback_that_is_damaged_is_no_hindrance(numba, callback, suffix):
    call_back(callback.parent)
    for kept in (callback.parent / '__pycache__').glob('*.' + suffix):
        kept.write_bytes(kept.read_bytes()[:100])
    assert not call_back(callback.parent)
    assert call_back(callback.parent)  # and is replaced


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError('cannot cache function: no locator available'),
        OSError(28, 'No space left on device'),
    ],
    ids=str,
)
def test_where_a_callback_cannot_be_kept_is_no_hindrance(numba, callback, error, monkeypatch):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(
        {
            RuntimeError: 'numba.core.ccallback.CFunc.enable_caching',
            OSError: 'numba.core.caching.IndexDataCacheFile._open_for_write',
        }[type(error)],
        refuse,
    )
    x = np.arange(3, dtype='d')
    double = importlib.import_module('loops').double
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(double.address)(x.ctypes.data)
    np.testing.assert_array_equal(x, [0, 2, 4])


def test_a_folder_that_cannot_keep_code_is_no_hindrance(numba, module, monkeypatch):
    def njit(*args, cache=False, **kwargs):
        if cache:
            raise RuntimeError('cannot cache function: no locator available')
        return real(*args, **kwargs)

    real = numba.njit
    monkeypatch.setattr(numba, 'njit', njit)
    assert importlib.import_module('loops').total(np.arange(5)) == 10


@pytest.mark.parametrize('suffix', ['nbi', 'nbc'])
def test_a_kept_file_that_is_damaged_is_no_hindrance(numba, module, suffix):
    call(module.parent)
    (kept,) = (module.parent / '__pycache__').glob('*.' + suffix)
    kept.write_bytes(kept.read_bytes()[:100])
    assert call(module.parent) == (10, False)
    assert call(module.parent) == (10, True)  # and is replaced


def test_a_full_disk_is_no_hindrance(numba, module, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('numba.core.caching.IndexDataCacheFile._open_for_write', refuse)
    assert importlib.import_module('loops').total(np.arange(5)) == 10


def test_compiled_functions_run_without_pythons_lock(numba, module):
    assert importlib.import_module('loops').total.targetoptions['nogil']


def test_a_module_is_imported_when_it_is_asked_for(numba, module, asked_anew):
    assert 'loops' not in sys.modules and jit.why_not() is None
    assert jit.loops('loops').total(np.arange(5)) == 10


@pytest.mark.parametrize('error', [ImportError, OSError])
def test_without_numba_that_is_said_once(error, module, monkeypatch, asked_anew):
    def refuse(name, *args, **kwargs):
        if name == 'numba':
            raise error('Numba needs another NumPy')
        return real(name, *args, **kwargs)

    real = builtins.__import__
    monkeypatch.setattr(builtins, '__import__', refuse)
    with pytest.warns(UserWarning, match='Numba needs another NumPy'):
        assert jit.loops('loops') is None
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert jit.loops('loops') is None
    assert jit.why_not() == 'Numba needs another NumPy'
