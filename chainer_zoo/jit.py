"""Loops that Numba compiles to machine code, for what neither NumPy nor oneDNN does in one pass.

Such loops stand in modules of their own, which are imported only where they are needed, by
:func:`loops`: importing Numba takes a third of a second.

Compiling them takes some ten seconds, so the machine code is kept for later processes: in the
user's cache folder, apart for each version of this package, of Numba and of Python. Beside the
source, where Numba would put it, it would outlive an uninstalled package.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import pathlib
import shutil
import sys
import threading
import types
import warnings
from collections.abc import Callable
from typing import Any

from chainer_zoo.version import __version__

#: Bytes of machine code that are kept. One version of this package takes two million.
MOST_BYTES = 64 * 2**20

_lock = threading.Lock()  # Numba's setting, which _keeping changes, is the whole process's


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of arrays and numbers, for each combination of types at its first call.

    It runs without Python's lock.

    Args:
        function: what Numba can compile: loops, arithmetic, other compiled functions.

    Returns:
        callable: takes and returns the same.

    Raises:
        Exception: Numba is not there, or cannot be used here.
    """
    import numba

    dispatcher = numba.njit(function, nogil=True)
    _keep(dispatcher)
    return dispatcher


def callback(function: Callable[[Any], None]) -> Any:
    """Compile a function that C calls with the address of something.

    Args:
        function: as for :func:`compiled`. It takes a pointer and returns nothing.

    Returns:
        numba.core.ccallback.CFunc: with its own ``address``.
    """
    from numba import types as numba_types
    from numba.core.ccallback import CFunc

    made = CFunc(function, ((numba_types.voidptr,), numba_types.void), {}, {})
    _keep(made)
    made.compile()
    return made


def _keep(made: Any) -> None:
    """Let Numba keep the machine code of a compiled function, where there is a folder for it."""
    caching = importlib.import_module('numba.core.caching')
    config: Any = importlib.import_module('numba.core.config')
    with _lock:
        theirs = config.CACHE_DIR  # the variable NUMBA_CACHE_DIR, where that is set
        config.CACHE_DIR = theirs or folder()
        try:
            if config.CACHE_DIR:
                with contextlib.suppress(OSError, RuntimeError):  # nothing there can be written to
                    made.enable_caching()
                    if made._cache.cache_path.startswith(config.CACHE_DIR):
                        _forgive(made._cache, is_ours=not theirs)
                    else:  # Numba has gone on to another folder
                        made._cache = caching.NullCache()
        finally:
            config.CACHE_DIR = theirs


@functools.cache
def folder() -> str:
    """Return the folder for machine code, which exists, or '' where none can be written to.

    It is private: who could write there could run code in this process.
    """
    import numba
    import platformdirs

    python = '.'.join(map(str, sys.version_info[:2]))
    top = pathlib.Path(platformdirs.user_cache_dir('chainer_zoo', appauthor=False))
    here = top / f'{__version__}-numba{numba.__version__}-python{python}'
    try:
        for path in top, here:
            path.mkdir(0o700, parents=True, exist_ok=True)
        if not (_is_private(top) and _is_private(here) and os.access(here, os.W_OK | os.X_OK)):
            return ''
    except OSError:
        return ''
    return str(here)


def _is_private(path: pathlib.Path) -> bool:
    status = path.stat()
    if not hasattr(os, 'getuid'):  # Windows, whose cache folders are the user's own
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def _forgive(cache: Any, is_ours: bool) -> None:
    """Let a full disk, or a file that a power cut left unfinished, be as good as no kept code."""
    load, save = cache.load_overload, cache.save_overload

    def load_overload(*args: Any) -> Any:
        try:
            return load(*args)
        except Exception:  # whatever comes of reading half a pickle
            forget()
            return None

    def save_overload(*args: Any) -> None:
        try:
            save(*args)
        except Exception:
            forget()
        if is_ours:
            _make_room(pathlib.Path(cache.cache_path))

    def forget() -> None:
        with contextlib.suppress(Exception):
            cache.flush()  # or no later process would keep anything

    cache.load_overload, cache.save_overload = load_overload, save_overload
    with contextlib.suppress(OSError):
        os.utime(cache.cache_path)  # what is in use goes last


def _make_room(used: pathlib.Path) -> None:
    """Remove the machine code that was not used for longest, until what is kept is little enough.

    Args:
        used: the folder of one package's or project's functions, which stays; those beside it, and
            those of other versions, may go.
    """
    with contextlib.suppress(OSError):  # another process removes as well
        groups = [
            (_size(path), path.stat().st_mtime, path) for path in used.parent.parent.glob('*/*')
        ]
        total = sum(size for size, _, _ in groups)
        for size, _, path in sorted(groups, key=lambda group: group[1]):
            if total <= MOST_BYTES:
                break
            if path != used:
                shutil.rmtree(path, ignore_errors=True)
                total -= size


def _size(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


@functools.cache
def why_not() -> str | None:
    """Return None, or why Numba cannot be used."""
    try:
        compiled(lambda: None)
    except Exception as error:  # OSError where Numba's own library does not load
        return str(error)
    return None


@functools.cache
def loops(name: str) -> types.ModuleType | None:
    """Import a module of compiled functions.

    Args:
        name: in full.

    Returns:
        module: or None where Numba cannot be used, which a warning says once.
    """
    if why_not() is not None:
        warnings.warn(
            f'what Numba would compile takes several times as long: {why_not()}', stacklevel=2
        )
        return None
    return importlib.import_module(name)
