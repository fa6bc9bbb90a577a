"""Loops that Numba compiles to machine code, for what neither NumPy nor oneDNN does in one pass.

Such loops stand in modules of their own, which are imported only where they are needed, by
:func:`loops`: importing Numba takes a third of a second.
"""

import contextlib
import functools
import importlib
import warnings


def compiled(function):
    """Compile a function of arrays and numbers, for each combination of types at its first call.

    It runs without Python's lock. The machine code is kept beside the source or in the user's
    cache, where there is such a folder, so that only the first process has to wait for it.

    Args:
        function (callable): what Numba can compile: loops, arithmetic, other compiled functions.

    Returns:
        callable: takes and returns the same.

    Raises:
        Exception: Numba is not there, or cannot be used here.
    """
    import numba

    try:
        dispatcher = numba.njit(function, nogil=True, cache=True)
    except RuntimeError:  # there is no folder that can be written to
        return numba.njit(function, nogil=True)
    _forgive(dispatcher._cache)
    return dispatcher


def callback(function):
    """Compile a function that C calls with the address of something, and keep it likewise.

    Args:
        function (callable): as for :func:`compiled`. It takes a pointer and returns nothing.

    Returns:
        numba.core.ccallback.CFunc: with its own ``address``.
    """
    from numba import types
    from numba.core.ccallback import CFunc

    made = CFunc(function, ((types.voidptr,), types.void), {}, {})
    with contextlib.suppress(RuntimeError):  # there is no folder that can be written to
        made.enable_caching()
        _forgive(made._cache)
    made.compile()
    return made


def _forgive(cache):
    """Let a full disk, or a file that a power cut left unfinished, be as good as no kept code."""
    for name in 'load_overload', 'save_overload':
        setattr(cache, name, _forgiving(getattr(cache, name), cache))


def _forgiving(method, cache):
    def call(*args):
        try:
            return method(*args)
        except Exception:  # whatever comes of reading half a pickle
            with contextlib.suppress(Exception):
                cache.flush()  # or no later process would keep anything
            return None

    return call


@functools.cache
def why_not():
    """Return None, or why Numba cannot be used (str)."""
    try:
        compiled(lambda: None)
    except Exception as error:  # OSError where Numba's own library does not load
        return str(error)
    return None


@functools.cache
def loops(name):
    """Import a module of compiled functions.

    Args:
        name (str): in full.

    Returns:
        module: or None where Numba cannot be used, which a warning says once.
    """
    if why_not() is not None:
        warnings.warn('what Numba would compile takes several times as long: ' + why_not())
        return None
    return importlib.import_module(name)
