"""Compiled loops, and the machine code that is kept for later processes."""

import builtins
import ctypes
import importlib
import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import jit

MODULE = """
import chainer_zoo
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
import chainer_zoo
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


@pytest.fixture(autouse=True)
def user(tmp_path, monkeypatch):
    """The folder where a user's programs keep what they can do without; here and in children."""
    jit.folder.cache_clear()
    monkeypatch.delenv('NUMBA_CACHE_DIR', raising=False)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    yield tmp_path / 'cache' / 'chainer_zoo'
    jit.folder.cache_clear()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module with a compiled function, as a file."""
    path = tmp_path / 'source' / 'loops.py'
    path.parent.mkdir()
    path.write_text(MODULE)
    monkeypatch.syspath_prepend(str(path.parent))
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


def kept(user, suffix):
    return list(user.rglob('*.' + suffix))


def test_only_the_first_process_compiles(numba, module):
    assert call(module.parent) == (10, False)
    assert call(module.parent) == (10, True)


def test_code_is_kept_for_the_user_by_version_and_not_beside_the_source(numba, module, user):
    call(module.parent)
    (code,) = kept(user, 'nbc')
    version = code.relative_to(user).parts[0]
    python = f'{sys.version_info[0]}.{sys.version_info[1]}'
    assert version == f'{chainer_zoo.__version__}-numba{numba.__version__}-python{python}'
    assert not list(module.parent.rglob('*.nb?'))
    assert user.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize('change', ['package', 'numba'])
def test_another_version_compiles_anew(change, numba, module, user, monkeypatch):
    assert importlib.import_module('loops').total(np.arange(5)) == 10
    sys.modules.pop('loops')
    jit.folder.cache_clear()
    if change == 'package':
        monkeypatch.setattr(jit, '__version__', '0.0.9')
    else:
        monkeypatch.setattr(numba, '__version__', '0.50')
    again = importlib.import_module('loops')
    assert again.total(np.arange(5)) == 10 and not again.total.stats.cache_hits
    assert len(kept(user, 'nbc')) == 2


def test_numbas_own_variable_is_followed(numba, module, user, tmp_path, monkeypatch):
    monkeypatch.setenv('NUMBA_CACHE_DIR', str(tmp_path / 'mine'))
    assert call(module.parent) == (10, False)
    assert call(module.parent) == (10, True)
    assert kept(tmp_path / 'mine', 'nbc') and not user.exists()


def test_numbas_setting_is_as_before(numba, module):
    from numba.core import config

    before = config.CACHE_DIR
    importlib.import_module('loops')
    assert config.CACHE_DIR == before


def a_file(user):
    user.parent.mkdir()
    user.write_text('')


def others_may_write(user):
    user.mkdir(parents=True)
    user.chmod(0o777)


def somebody_elses(user):
    if os.getuid() != 0:
        pytest.skip('only root can give a folder away')
    user.mkdir(parents=True)
    os.chown(user, 12345, 12345)


@pytest.mark.parametrize('spoil', [a_file, others_may_write, somebody_elses])
def test_a_folder_that_cannot_be_trusted_or_written_to_keeps_nothing(spoil, numba, module, user):
    spoil(user)
    assert importlib.import_module('loops').total(np.arange(5)) == 10
    assert not list(module.parent.rglob('*.nb?')) and not kept(user, 'nbc')


def test_where_no_folder_can_be_made_nothing_is_kept(numba, module, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', '/proc/no/such')
    assert importlib.import_module('loops').total(np.arange(5)) == 10
    assert jit.folder() == '' and not list(module.parent.rglob('*.nb?'))


def test_a_folder_without_permission_keeps_nothing(numba, module, user, monkeypatch):
    monkeypatch.setattr(os, 'access', lambda path, mode: False)  # root may write anywhere
    assert importlib.import_module('loops').total(np.arange(5)) == 10
    assert not kept(user, 'nbc') and not list(module.parent.rglob('*.nb?'))


def test_what_was_not_used_for_longest_goes_first(numba, module, user, monkeypatch):
    old, newer = user / '0.0.1-numba0.1-python3.1' / 'a', user / '0.0.2-numba0.1-python3.1' / 'b'
    for age, path in (2000, old), (1000, newer):
        path.mkdir(parents=True)
        (path / 'x.nbc').write_bytes(bytes(10000))
        os.utime(path, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(jit, 'MOST_BYTES', 10**6)
    importlib.import_module('loops').total(np.arange(5))
    assert old.exists() and newer.exists()
    ours = pathlib.Path(importlib.import_module('loops').total._cache.cache_path)
    size = sum(path.stat().st_size for path in ours.iterdir())
    monkeypatch.setattr(jit, 'MOST_BYTES', 10000 + 2 * size)
    importlib.import_module('loops').total(np.arange(5.0))
    assert not old.exists() and newer.exists() and ours.exists()
    monkeypatch.setattr(jit, 'MOST_BYTES', 0)
    importlib.import_module('loops').total(np.arange(5, dtype='i1'))
    assert not newer.exists() and len(list(ours.glob('*.nbc'))) == 3  # what is in use stays


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
def test_a_kept_callback_that_is_damaged_is_no_hindrance(numba, callback, user, suffix):
    call_back(callback.parent)
    for path in kept(user, suffix):
        path.write_bytes(path.read_bytes()[:100])
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
    def refuse(self):
        raise RuntimeError('cannot cache function: no locator available')

    monkeypatch.setattr('numba.core.dispatcher.Dispatcher.enable_caching', refuse)
    assert importlib.import_module('loops').total(np.arange(5)) == 10


@pytest.mark.parametrize('suffix', ['nbi', 'nbc'])
def test_a_kept_file_that_is_damaged_is_no_hindrance(numba, module, user, suffix):
    call(module.parent)
    (path,) = kept(user, suffix)
    path.write_bytes(path.read_bytes()[:100])
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
