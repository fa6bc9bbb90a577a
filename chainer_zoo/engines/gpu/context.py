"""What a thread keeps of cuDNN: handles, descriptors and choices; and how arrays get there."""

from __future__ import annotations

import collections
import ctypes
import threading
import weakref
from ctypes import c_double
from ctypes import c_float
from ctypes import c_void_p
from typing import Any
from typing import Callable

from chainer.backends import cuda

from chainer_zoo.engines.gpu.library import check
from chainer_zoo.engines.gpu.library import create_handle
from chainer_zoo.engines.gpu.library import loaded

MOST_PLANS = 1024  # shapes to remember in one thread on one GPU

# Factors of a result by the arrays' type, passed by reference; beside float16 they are float32.
ONE = {'e': c_float(1), 'f': c_float(1), 'd': c_double(1)}
ZERO = {'e': c_float(0), 'f': c_float(0), 'd': c_double(0)}


class Context:
    """What a thread has of cuDNN on one GPU.

    It is never destroyed, which would wait for the GPU, and fail where CUDA was shut down before;
    when the thread ends, another one takes it over.

    Attributes:
        library (ctypes.CDLL): cuDNN.
        handle (ctypes.c_void_p): cuDNN's handle, bound to one GPU.
    """

    def __init__(self, library: ctypes.CDLL):
        self.library = library
        self.handle = create_handle(library)
        self._plans: collections.OrderedDict[tuple, Any] = collections.OrderedDict()

    def plan(self, key: tuple, make: Callable[[Context], Any]) -> Any:
        """Return what was made for a key, or ``make(self)``; of too many the least used goes."""
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = make(self)
            if len(self._plans) > MOST_PLANS:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(key)
        return plan

    def descriptor(self, owner: object, kind: str, function: str, *values: Any) -> c_void_p:
        """Create a descriptor that lives as long as ``owner``.

        Args:
            owner: who uses it.
            kind: ``Tensor``, ``Filter`` or ``Convolution``.
            function: what sets it.
            values: the arguments of that.

        Returns:
            the descriptor.
        """
        made = c_void_p()
        create = f'cudnnCreate{kind}Descriptor'
        check(self.library, getattr(self.library, create)(ctypes.byref(made)), create, 'no memory')
        destroy = getattr(self.library, f'cudnnDestroy{kind}Descriptor')
        weakref.finalize(owner, destroy, made).atexit = False
        check(self.library, getattr(self.library, function)(made, *values), function, str(values))
        return made


class _Lease:
    """Ends with its thread."""


_threads = threading.local()
_free: dict[int, list[Context]] = collections.defaultdict(
    list
)  # contexts of threads that have ended, by GPU


def _take(number: int) -> tuple[Context, _Lease]:
    try:
        found = _free[number].pop()
    except IndexError:
        library = loaded()
        assert library is not None  # the engine is enabled
        found = Context(library)
    lease = _Lease()
    weakref.finalize(lease, _free[number].append, found).atexit = False
    return found, lease


def current() -> Context:
    """Return this thread's :class:`Context` on the current GPU, set to CuPy's current stream."""
    here = vars(_threads)
    number = cuda.cupy.cuda.get_device_id()
    if number not in here:
        here[number] = _take(number)
    found, _ = here[number]
    status = found.library.cudnnSetStream(found.handle, cuda.cupy.cuda.get_current_stream().ptr)
    if status:
        check(found.library, status, 'cudnnSetStream', f'GPU {number}')
    return found


def plain(array: cuda.ndarray) -> cuda.ndarray:
    """Return the array, or a copy that cuDNN can read: C-contiguous, and whole vectors aligned."""
    array = cuda.cupy.ascontiguousarray(array)
    return array.copy() if array.data.ptr % 16 else array
