"""Compiled primitives: built once per shape, kept per thread, run on arrays.

A primitive belongs to the thread that built it, together with its memory objects and its scratch
memory, so two threads never share anything that changes. Below this cache oneDNN has one of its own
for generated code, which threads do share.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import threading
import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from chainer_zoo import threads
from chainer_zoo.engines.cpu import library as dnnl

T = TypeVar('T')

CACHE_SIZE = 2048  # primitives that a thread keeps; the oldest goes first

# What a primitive may do to its result before it is stored: add it to what is there, or apply ReLU.
SUM = 'sum'
# ReLU, which makes NaN of NaN, unlike oneDNN's own: x times what lies between 0 and 1 of alpha x.
# Two things differ. It makes NaN of -inf, and makes less of numbers below 3e-39.
RELU = dnnl.ELTWISE_HARDSWISH, 3e38, 0  # the algorithm, alpha and beta

# Where an array object stores the address of its first element: in NumPy's C interface, right after
# the fields that every Python object has. `__array_interface__` gives the address too, but makes a
# dict for each of the thousands of arrays of a training step.
_DATA = object.__basicsize__
_at = ctypes.c_void_p.from_address


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    """Return the address of an array's first element as the library takes it."""
    return _at(id(array) + _DATA)


_state = {'library': None, 'engine': None}
_lock = threading.RLock()


def start() -> None:
    """Load the library and create the engine, once.

    Raises:
        OSError: the library cannot be loaded (see :func:`chainer_zoo.engines.cpu.library.load`).
        OneDNNError: it cannot make a CPU engine.
    """
    with _lock:
        if _state['library'] is None:
            library = dnnl.load()
            engine = ctypes.c_void_p()
            dnnl.check(library.dnnl_engine_create(ctypes.byref(engine), dnnl.CPU, 0), 'CPU engine')
            _state['engine'] = engine
            _state['library'] = library


def run_single_threaded() -> None:
    """Make OpenMP use one thread in this process from now on, and replace what a fork broke."""
    global _context, _lock
    _context = None  # its primitives were built for the parent's number of threads
    _lock = threading.RLock()  # another thread of the parent may have held it
    if _state['library'] is not None:
        _state['library'].omp_set_num_threads(1)  # libgomp's, on which the library depends


def _limit_threads(library):
    """Let OpenMP use no more threads in this thread than there are processors for it.

    It takes OMP_NUM_THREADS as it is, and knows no quota of a container.
    """
    if hasattr(library, 'omp_get_max_threads'):  # GNU's OpenMP, on which the library depends
        if library.omp_get_max_threads() > threads.limit():
            library.omp_set_num_threads(threads.limit())


class _Context(threading.local):
    """What one thread needs to run primitives: a stream, its primitives, scratch memory."""

    def __init__(self):
        start()
        self.library = _state['library']
        self.engine = _state['engine']
        _limit_threads(self.library)
        self.stream = ctypes.c_void_p()
        dnnl.check(
            self.library.dnnl_stream_create(
                ctypes.byref(self.stream), self.engine, dnnl.STREAM_IN_ORDER
            ),
            'stream',
        )
        self.primitives = {}
        self._scratch = None
        self._scratch_size = self._scratch_start = 0
        self.derived = {}  # the cache of chainer_zoo.engines.cpu.weights
        self.derived_bytes = 0
        self.seconds = None  # what :func:`timed` adds up

    def call(self, kind, function, *arguments):
        """Call a function that computes, and count its time where :func:`timed` wants it.

        Args:
            kind (str): what to count it as.
            function (callable): of the library.
            *arguments: for the function.
        """
        if self.seconds is None:
            return function(*arguments)
        start = time.perf_counter()
        result = function(*arguments)
        self.seconds[kind] += time.perf_counter() - start
        return result

    def scratch_address(self, size):
        """Return the address of at least ``size`` bytes (int), which all primitives share."""
        if self._scratch_size < size:
            self._scratch = np.empty(size + 64, np.uint8)
            self._scratch_size = size
            self._scratch_start = (self._scratch.ctypes.data + 63) & ~63
        return self._scratch_start


_context = None


def context() -> _Context:
    """Return this thread's context."""
    global _context
    if _context is None:
        start()
        with _lock:
            if _context is None:
                _context = _Context()
    return _context


def clear_derived() -> None:
    """Empty this thread's cache of :mod:`chainer_zoo.engines.cpu.weights`."""
    if _context is not None:  # else the library was never needed, and may not be there
        _context.derived.clear()
        _context.derived_bytes = 0


def cached(key: Hashable, build: Callable[[], T]) -> T:
    """Return what this thread keeps under ``key``, or call ``build``, and keep and return that."""
    primitives = context().primitives
    found = primitives.get(key)
    if found is None:
        found = primitives[key] = build()
        if len(primitives) > CACHE_SIZE:
            del primitives[next(iter(primitives))]
    return found


class MemoryDesc:
    """A memory descriptor: shape, type and layout of an array, without the array.

    Args:
        handle (ctypes.c_void_p): the library's object, which this one then owns.

    Attributes:
        size (int): bytes, with padding.
    """

    def __init__(self, handle):
        self.handle = handle
        self.size = _state['library'].dnnl_memory_desc_get_size(handle)

    def __del__(self):
        if self.handle and _state is not None:
            _state['library'].dnnl_memory_desc_destroy(self.handle)

    def __eq__(self, other):
        return bool(_state['library'].dnnl_memory_desc_equal(self.handle, other.handle))

    __hash__ = None


def dims(values: Iterable[int]) -> dnnl.Dims:
    """Return ``values`` as the library's dnnl_dims_t."""
    return dnnl.Dims(*values)


def strided(shape: Sequence[int], strides: Sequence[int]) -> MemoryDesc:
    """Describe a float32 array of ``shape`` whose ``strides`` count elements."""
    handle = ctypes.c_void_p()
    dnnl.check(
        context().library.dnnl_memory_desc_create_with_strides(
            ctypes.byref(handle), len(shape), dims(shape), dnnl.FLOAT32, dims(strides)
        ),
        lambda: f'descriptor of shape {shape} and strides {strides}',
    )
    return MemoryDesc(handle)


def contiguous(shape: Sequence[int]) -> MemoryDesc:
    """Describe a float32 array in C order."""
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * max(shape[i + 1], 1)
    return strided(shape, strides)


def channels_last(shape: Sequence[int]) -> MemoryDesc:
    """Describe a float32 array of shape (B, C, H, W) whose memory is in the order (B, H, W, C)."""
    b, c, h, w = shape
    return strided(shape, (h * w * c, 1, w * c, c))


def any_layout(shape: Sequence[int]) -> MemoryDesc:
    """Describe a float32 array whose layout the primitive may choose."""
    handle = ctypes.c_void_p()
    dnnl.check(
        context().library.dnnl_memory_desc_create_with_tag(
            ctypes.byref(handle), len(shape), dims(shape), dnnl.FLOAT32, dnnl.TAG_ANY
        ),
        lambda: f'descriptor of shape {shape}',
    )
    return MemoryDesc(handle)


class Primitive:
    """A primitive that is ready to run.

    Args:
        name (str): what an error calls it, with the shapes.
        function (str): the library's function that makes its descriptor.
        values (tuple): the arguments of that function between the descriptor and the attributes; a
            :class:`MemoryDesc` stands for its handle.
        arguments (list of (int, MemoryDesc or int)): the arrays it takes, in the order in which
            :meth:`run` gets them: the library's number of the argument, and its descriptor, or
            the query that asks the primitive which layout it has chosen.
        post_ops (sequence): what happens to the result before it is stored, in this order:
            ``SUM``, a tuple such as ``RELU``, or the :class:`MemoryDesc` of an array that is
            added. :meth:`run` gets such arrays after those of ``arguments``.

    Raises:
        OneDNNError: the library refuses. ``status`` says whether it lacks an implementation.
    """

    def __init__(self, name, function, values, arguments, post_ops=()):
        self._primitive = None
        self._memories = []
        self.name = name
        self.kind = function[len('dnnl_') : -len('_primitive_desc_create')].replace('_', ' ')
        here = self._context = context()  # of the thread that it belongs to
        library = self._library = here.library
        self._stream = here.stream
        attributes = ctypes.c_void_p()
        dnnl.check(library.dnnl_primitive_attr_create(ctypes.byref(attributes)), name)
        descriptor = ctypes.c_void_p()
        try:
            dnnl.check(
                library.dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl.SCRATCHPAD_USER),
                name,
            )
            if post_ops:
                self._append(attributes, post_ops)
            values = [
                v.handle
                if isinstance(v, MemoryDesc)
                else v.descriptor
                if isinstance(v, Primitive)
                else v
                for v in values
            ]
            dnnl.check(
                getattr(library, function)(ctypes.byref(descriptor), *(values + [attributes])), name
            )
        finally:
            library.dnnl_primitive_attr_destroy(attributes)
        self.descriptor = descriptor
        self.implementation = dnnl.implementation(library, descriptor)
        primitive = ctypes.c_void_p()
        dnnl.check(library.dnnl_primitive_create(ctypes.byref(primitive), descriptor), name)
        self._primitive = primitive

        arguments = arguments + [
            ((i + 1) * dnnl.ARG_POST_OP | dnnl.ARG_SRC_1, added)
            for i, added in enumerate(post_ops)
            if isinstance(added, MemoryDesc)
        ]
        self.layouts = [
            layout if isinstance(layout, MemoryDesc) else self.query(layout)
            for _, layout in arguments
        ]
        scratch = self.query(dnnl.QUERY_SCRATCHPAD)
        self._scratch_size = scratch.size if scratch is not None else 0
        numbers = [number for number, _ in arguments]
        layouts = list(self.layouts)
        if self._scratch_size:
            numbers.append(dnnl.ARG_SCRATCHPAD)
            layouts.append(scratch)
        self._exec_args = (dnnl.ExecArg * len(numbers))()
        for i, (number, layout) in enumerate(zip(numbers, layouts)):
            memory = ctypes.c_void_p()
            dnnl.check(
                library.dnnl_memory_create(ctypes.byref(memory), layout.handle, here.engine, None),
                name,
            )
            self._memories.append(memory)
            self._exec_args[i].arg = number
            self._exec_args[i].memory = memory
        self._set = library.dnnl_memory_set_data_handle
        self._execute = library.dnnl_primitive_execute

    def __del__(self):
        if _state is None:  # the interpreter is going down
            return
        library = self._library
        for memory in self._memories:
            library.dnnl_memory_destroy(memory)
        if self._primitive:
            library.dnnl_primitive_destroy(self._primitive)
            library.dnnl_primitive_desc_destroy(self.descriptor)

    def _append(self, attributes, post_ops):
        library = self._library
        operations = ctypes.c_void_p()
        dnnl.check(library.dnnl_post_ops_create(ctypes.byref(operations)), self.name)
        try:
            for post_op in post_ops:
                if isinstance(post_op, MemoryDesc):
                    status = library.dnnl_post_ops_append_binary(
                        operations, dnnl.BINARY_ADD, post_op.handle
                    )
                elif post_op == SUM:
                    status = library.dnnl_post_ops_append_sum(operations, 1, 0, dnnl.UNDEFINED)
                else:
                    status = library.dnnl_post_ops_append_eltwise(operations, *post_op)
                dnnl.check(status, self.name)
            dnnl.check(library.dnnl_primitive_attr_set_post_ops(attributes, operations), self.name)
        finally:
            library.dnnl_post_ops_destroy(operations)

    def query(self, what):
        """Return the :class:`MemoryDesc` of one of its arguments, or None if it has none."""
        handle = ctypes.c_void_p()
        status = self._library.dnnl_primitive_desc_query(
            self.descriptor, what, 0, ctypes.byref(handle)
        )
        if status or not handle.value:
            return None
        copy = ctypes.c_void_p()
        dnnl.check(self._library.dnnl_memory_desc_clone(ctypes.byref(copy), handle), self.name)
        return MemoryDesc(copy)

    def run(self, *arrays):
        """Run it on ``arrays`` (numpy.ndarray), in the order of ``arguments``.

        The caller has checked that shapes and layouts fit.

        Raises:
            OneDNNError: the library reports a failure.
        """
        memories = self._memories
        set_handle = self._set
        i = 0
        for array in arrays:
            status = set_handle(memories[i], _at(id(array) + _DATA))
            if status:
                dnnl.check(status, self.name)
            i += 1
        if self._scratch_size:
            set_handle(memories[i], self._context.scratch_address(self._scratch_size))
            i += 1
        status = self._context.call(
            self.kind, self._execute, self._primitive, self._stream, i, self._exec_args
        )
        if status:
            dnnl.check(status, self.name)


@contextlib.contextmanager
def timed() -> Iterator[collections.Counter]:
    """Time what the library does for this thread during a ``with`` block.

    Yields:
        collections.Counter: seconds, by the library's name of a primitive's kind, or ours of a
        compiled loop.
    """
    here = context()
    before, here.seconds = here.seconds, collections.Counter()
    try:
        yield here.seconds
    finally:
        here.seconds = before


def reorder(source: MemoryDesc, target: MemoryDesc, post_ops: Sequence = ()) -> Primitive:
    """Return the primitive that copies an array from one layout into another.

    Args:
        source: layout of the array that is read.
        target: layout of the array that is written.
        post_ops: as :class:`Primitive` takes them.
    """
    engine = context().engine
    return Primitive(
        'reorder',
        'dnnl_reorder_primitive_desc_create',
        (source, engine, target, engine),
        [(dnnl.ARG_SRC, source), (dnnl.ARG_DST, target)],
        post_ops,
    )
