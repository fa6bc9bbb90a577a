"""Compiled loops, and oneDNN's products of matrices in them, on the threads of OpenMP.

These threads are there already, for oneDNN. Threads of our own would have to share the processors
with them: after their work they look out for more, for some milliseconds.

What runs on them are the callbacks of :mod:`chainer_zoo.engines.cpu.loops`.
"""

import ctypes
import functools
import warnings

import numpy as np

from chainer_zoo import jit
from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive

NOTHING = np.empty(0, np.float32)
NO_IMAGES = np.empty((0, 0, 0, 0), np.float32)

_OPENMP = 'GOMP_parallel', 'omp_get_max_threads', 'omp_get_num_threads', 'omp_get_thread_num'
_MOST_AXES = 4

#: Floats between rows of scratch memory, so that these do not start at addresses that a cache maps
#: to one place.
GAP = 32


def loops():
    """Return the module of the compiled loops, or None where Numba cannot be used."""
    return jit.loops('chainer_zoo.engines.cpu.loops')


@functools.cache
def can_run():
    """Return whether Numba compiles the loops, and OpenMP has functions of the names of GNU's."""
    library = primitive.context().library
    if not all([hasattr(library, name) for name in _OPENMP]):
        return False
    try:
        return loops() is not None
    except Exception as error:  # whatever an untried version of Numba or LLVM raises
        warnings.warn(
            'convolutions take up to twice as long, and batch normalization loses a '
            f'digit, as Numba does not compile their loops: {error}',
            stacklevel=2,
        )
        return False


def thread_limit():
    """Return how many threads run a callback at most (int)."""
    return primitive.context().library.omp_get_max_threads()


def pixels(x):
    """Return a channels-last array (B, C, H, W), or some channels of one, as (B, H, W, C)."""
    return x.transpose(0, 2, 3, 1)


def flat(x):
    """Return a dense array as a vector, in the order in which its elements lie in memory."""
    return (x if x.flags.c_contiguous else pixels(x)).reshape(-1)


def run(name, callback, arrays, numbers):
    """Run a callback on every thread.

    Args:
        name (str): what it computes, where an error has to say so.
        callback (str): the name of one of :mod:`chainer_zoo.engines.cpu.loops`.
        arrays (sequence of numpy.ndarray): float32 or uint8, C-ordered, of up to 4 axes. Images
            (B, H, W, C) may be some channels of a larger array.
        numbers (sequence of int): whole numbers.

    Raises:
        OneDNNError: oneDNN has refused a product.
    """
    address = getattr(loops(), callback).address
    call = [len(arrays), len(numbers) + 1]  # as `_unpack` reads it
    for array in arrays:
        call.append(primitive.pointer(array).value)
        call.extend(_extent(array))
    status = len(call)
    call.append(0)
    call.extend(numbers)
    call = (ctypes.c_int64 * len(call))(*call)
    here = primitive.context()
    here.call(name, here.library.GOMP_parallel, ctypes.c_void_p(address), call, thread_limit(), 0)
    dnnl.check(
        call[status],
        lambda: '{} of {}'.format(
            name, ', '.join([str(array.shape) for array in arrays if array.size])
        ),
    )


def _extent(array):
    """Return the 4 numbers that tell where its elements lie (tuple of int)."""
    if array.ndim < _MOST_AXES:
        return array.shape + (1,) * (_MOST_AXES - array.ndim)
    return array.shape[:-1] + (memory.pitch(array.transpose(0, 3, 1, 2)),)
