"""oneDNN's C interface, as far as this package needs it, bound with ctypes.

The signatures and numbers are those of oneDNN 3.2 (``dnnl.h`` and ``dnnl_types.h``); every later
3.x keeps them. Functions that return a status are declared in :data:`_SIGNATURES` and reached as
attributes of the loaded library; :func:`check` turns what they return into a Python exception.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from collections.abc import Iterator
from ctypes import c_char_p
from ctypes import c_float
from ctypes import c_int
from ctypes import c_int32
from ctypes import c_int64
from ctypes import c_size_t
from ctypes import c_uint
from ctypes import c_void_p

from chainer_zoo.engines import c_library

MAX_NDIM = 12
Dims = c_int64 * MAX_NDIM
_dims_p = ctypes.POINTER(c_int64)
_handle_p = ctypes.POINTER(c_void_p)  # an output parameter that receives an object

# dnnl_types.h; only what is used
CPU = 1
UNDEFINED = 0  # the type of an array that keeps its own
FLOAT32 = 3
TAG_ANY = 1
FORWARD_TRAINING = 64
FORWARD_INFERENCE = 96
BACKWARD = 128
CONVOLUTION_DIRECT = 1
ELTWISE_HARDSWISH = 52
POOLING_MAX = 511
POOLING_AVERAGE = 767  # padding counts
BINARY_ADD = 131056
USE_GLOBAL_STATS = 1
USE_SCALE = 2
USE_SHIFT = 4
SCRATCHPAD_USER = 1
STREAM_IN_ORDER = 1
QUERY_IMPLEMENTATION = 8
QUERY_WEIGHTS = 131
QUERY_DIFF_WEIGHTS = 132
QUERY_WORKSPACE = 135
QUERY_SCRATCHPAD = 136

ARG_SRC = 1
ARG_SRC_1 = 2
ARG_DST = 17
ARG_WEIGHTS = 33
ARG_BIAS = 41
ARG_MEAN = 49
ARG_VARIANCE = 50
ARG_SCALE = 51
ARG_SHIFT = 52
ARG_WORKSPACE = 64
ARG_SCRATCHPAD = 80
ARG_DIFF_SRC = 129
ARG_DIFF_DST = 145
ARG_DIFF_WEIGHTS = 161
ARG_DIFF_BIAS = 169
ARG_DIFF_SCALE = 255
ARG_DIFF_SHIFT = 256
ARG_MULTIPLE_SRC = 1024
ARG_POST_OP = 32768  # (i + 1) times this, with ARG_SRC_1: what the i-th post-op adds

_STATUS = {
    1: 'out of memory',
    2: 'invalid arguments',
    3: 'unimplemented',
    4: 'last implementation reached',
    5: 'runtime error',
    6: 'not required',
    7: 'invalid graph',
    8: 'invalid graph operation',
    9: 'invalid shape',
    10: 'invalid data type',
}
UNIMPLEMENTED = 3


class ExecArg(ctypes.Structure):
    """dnnl_exec_arg_t: which argument of a primitive, and the memory object it is."""

    _fields_ = [('arg', c_int), ('memory', c_void_p)]


_SIGNATURES = {
    'dnnl_engine_create': [_handle_p, c_int, c_size_t],
    'dnnl_stream_create': [_handle_p, c_void_p, c_uint],
    'dnnl_stream_destroy': [c_void_p],
    'dnnl_memory_desc_create_with_strides': [_handle_p, c_int, _dims_p, c_int, _dims_p],
    'dnnl_memory_desc_create_with_tag': [_handle_p, c_int, _dims_p, c_int, c_int],
    'dnnl_memory_desc_clone': [_handle_p, c_void_p],
    'dnnl_memory_desc_destroy': [c_void_p],
    'dnnl_memory_create': [_handle_p, c_void_p, c_void_p, c_void_p],
    'dnnl_memory_set_data_handle': [c_void_p, c_void_p],
    'dnnl_memory_destroy': [c_void_p],
    'dnnl_primitive_attr_create': [_handle_p],
    'dnnl_primitive_attr_destroy': [c_void_p],
    'dnnl_primitive_attr_set_scratchpad_mode': [c_void_p, c_int],
    'dnnl_primitive_attr_set_post_ops': [c_void_p, c_void_p],
    'dnnl_post_ops_create': [_handle_p],
    'dnnl_post_ops_append_eltwise': [c_void_p, c_int, c_float, c_float],
    'dnnl_post_ops_append_binary': [c_void_p, c_int, c_void_p],
    'dnnl_post_ops_append_sum': [c_void_p, c_float, c_int32, c_int],
    'dnnl_post_ops_destroy': [c_void_p],
    'dnnl_primitive_desc_query': [c_void_p, c_int, c_int, c_void_p],
    'dnnl_primitive_desc_destroy': [c_void_p],
    'dnnl_primitive_create': [_handle_p, c_void_p],
    'dnnl_primitive_destroy': [c_void_p],
    'dnnl_primitive_execute': [c_void_p, c_void_p, c_int, ctypes.POINTER(ExecArg)],
    'dnnl_reorder_primitive_desc_create': [_handle_p] + [c_void_p] * 5,
    'dnnl_concat_primitive_desc_create': [
        _handle_p,
        c_void_p,
        c_void_p,
        c_int,
        c_int,
        _handle_p,
        c_void_p,
    ],
    'dnnl_sum_primitive_desc_create': [
        _handle_p,
        c_void_p,
        c_void_p,
        c_int,
        ctypes.POINTER(c_float),
        _handle_p,
        c_void_p,
    ],
    'dnnl_binary_primitive_desc_create': [
        _handle_p,
        c_void_p,
        c_int,
        c_void_p,
        c_void_p,
        c_void_p,
        c_void_p,
    ],
    'dnnl_convolution_forward_primitive_desc_create': [_handle_p, c_void_p, c_int, c_int]
    + [c_void_p] * 4
    + [_dims_p] * 4
    + [c_void_p],
    'dnnl_convolution_backward_data_primitive_desc_create': [_handle_p, c_void_p, c_int]
    + [c_void_p] * 3
    + [_dims_p] * 4
    + [c_void_p] * 2,
    'dnnl_convolution_backward_weights_primitive_desc_create': [_handle_p, c_void_p, c_int]
    + [c_void_p] * 4
    + [_dims_p] * 4
    + [c_void_p] * 2,
    'dnnl_pooling_forward_primitive_desc_create': [
        _handle_p,
        c_void_p,
        c_int,
        c_int,
        c_void_p,
        c_void_p,
    ]
    + [_dims_p] * 5
    + [c_void_p],
    'dnnl_pooling_backward_primitive_desc_create': [_handle_p, c_void_p, c_int, c_void_p, c_void_p]
    + [_dims_p] * 5
    + [c_void_p] * 2,
    'dnnl_batch_normalization_forward_primitive_desc_create': [
        _handle_p,
        c_void_p,
        c_int,
        c_void_p,
        c_void_p,
        c_float,
        c_uint,
        c_void_p,
    ],
    'dnnl_batch_normalization_backward_primitive_desc_create': [_handle_p, c_void_p, c_int]
    + [c_void_p] * 3
    + [c_float, c_uint]
    + [c_void_p] * 2,
    'dnnl_matmul_primitive_desc_create': [_handle_p] + [c_void_p] * 6,
    'dnnl_get_effective_cpu_isa': [],
}


class OneDNNError(RuntimeError):
    """A call into oneDNN failed.

    Attributes:
        status (int): what the library returned.
    """

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


def check(status: int, what: str | Callable[[], str]) -> None:
    """Raise :class:`OneDNNError` unless ``status`` is success.

    Args:
        status: what a function of the library returned.
        what: names the primitive and the shapes; called only on failure.
    """
    if status:
        if callable(what):
            what = what()
        raise OneDNNError(f'oneDNN: {what}: {_STATUS.get(status, f"status {status}")}', status)


#: The package that brings the library, and the library's file.
DISTRIBUTION, NAME = 'onednn-cpu-gomp', 'libdnnl.so.3'


def _candidates() -> Iterator[str]:
    """Yield where the library may lie: its package, beside this Python, where the system looks."""
    yield from c_library.installed(DISTRIBUTION, NAME)
    for prefix in dict.fromkeys((sys.prefix, sys.base_prefix, sys.exec_prefix)):
        path = os.path.join(prefix, 'lib', NAME)
        if os.path.exists(path):
            yield path
    yield NAME


def load() -> ctypes.CDLL:
    """Load the library and declare its functions.

    Returns:
        ctypes.CDLL: the library.

    Raises:
        OSError: it is not there, cannot be loaded, or is another major version.
    """
    if sys.byteorder != 'little' or sys.maxsize <= 2**32:
        raise OSError('oneDNN needs a 64-bit little-endian machine')
    library = c_library.load(_candidates(), _SIGNATURES, 'oneDNN 3')
    library.dnnl_memory_desc_get_size.argtypes = [c_void_p]
    library.dnnl_memory_desc_get_size.restype = c_size_t
    library.dnnl_memory_desc_equal.argtypes = [c_void_p, c_void_p]
    library.dnnl_memory_desc_equal.restype = c_int
    return library


def has_avx512(library: ctypes.CDLL) -> bool:
    """Return whether the library's code has vectors of 16 numbers (AVX-512) on this machine."""
    return bool(library.dnnl_get_effective_cpu_isa() & 0x20)  # dnnl_cpu_isa_avx512_core's own bit


def implementation(library: ctypes.CDLL, descriptor: c_void_p) -> str:
    """Return the name oneDNN gives to the code of a primitive descriptor, e.g. 'ref:any'."""
    name = c_char_p()
    check(
        library.dnnl_primitive_desc_query(descriptor, QUERY_IMPLEMENTATION, 0, ctypes.byref(name)),
        'query of an implementation',
    )
    return name.value.decode()
