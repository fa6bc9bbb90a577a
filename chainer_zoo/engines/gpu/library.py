"""cuDNN 9's C interface, as far as this package needs it, bound with ctypes.

The signatures and numbers are those of ``cudnn_graph.h``, ``cudnn_ops.h`` and ``cudnn_cnn.h`` of
cuDNN 9. Functions that return a status are declared in :data:`_SIGNATURES` and reached as
attributes of the loaded library; :func:`check` turns what they return into a Python exception.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import threading
from collections.abc import Callable
from collections.abc import Iterator
from ctypes import c_char_p
from ctypes import c_double
from ctypes import c_float
from ctypes import c_int
from ctypes import c_size_t
from ctypes import c_void_p
from typing import Any

from chainer.backends import cuda

from chainer_zoo.engines import c_library
from chainer_zoo.engines import seam

NAME = 'libcudnn.so.9'
LAST_CUPY_WITH_CUDNN = 13  # the last major version of CuPy that Chainer has cuDNN from

#: Memory that cuDNN may use beside a convolution's arrays, in bytes. Chainer's own 8 MiB leave out
#: its fastest algorithms.
WORKSPACE = 256 * 2**20

# cudnn_graph.h and cudnn_ops.h; only what is used
DATA_TYPES = {'f': 0, 'd': 1, 'e': 2}  # by NumPy's characters: float32, float64, float16
NCHW = 0
CROSS_CORRELATION = 1
DEFAULT_MATH = 0  # with TensorFloat-32 where the GPU has it
TENSOR_OP_MATH = 1
DETERMINISTIC = 1
BATCHNORM_PER_ACTIVATION = 0
BATCHNORM_SPATIAL = 1
BATCHNORM_SPATIAL_PERSISTENT = 2

MOST_ALGORITHMS = 10  # more than there are for any of the three passes


class AlgorithmPerf(ctypes.Structure):
    """cudnnConvolution*AlgoPerf_t: an algorithm as cuDNN tried or guessed it."""

    _fields_ = [
        ('algorithm', c_int),
        ('status', c_int),
        ('time', c_float),
        ('memory', c_size_t),
        ('determinism', c_int),
        ('math_type', c_int),
        ('reserved', c_int * 3),
    ]


_handle_p = ctypes.POINTER(c_void_p)  # an output parameter that receives an object
_perfs = [c_int, ctypes.POINTER(c_int), ctypes.POINTER(AlgorithmPerf)]

_SIGNATURES: dict[str, list[Any]] = {
    'cudnnCreate': [_handle_p],
    'cudnnDestroy': [c_void_p],
    'cudnnSetStream': [c_void_p, c_void_p],
    'cudnnCreateTensorDescriptor': [_handle_p],
    'cudnnSetTensor4dDescriptor': [c_void_p] + [c_int] * 6,
    'cudnnDestroyTensorDescriptor': [c_void_p],
    'cudnnCreateFilterDescriptor': [_handle_p],
    'cudnnSetFilter4dDescriptor': [c_void_p] + [c_int] * 6,
    'cudnnDestroyFilterDescriptor': [c_void_p],
    'cudnnCreateConvolutionDescriptor': [_handle_p],
    'cudnnSetConvolution2dDescriptor': [c_void_p] + [c_int] * 8,
    'cudnnSetConvolutionGroupCount': [c_void_p, c_int],
    'cudnnSetConvolutionMathType': [c_void_p, c_int],
    'cudnnDestroyConvolutionDescriptor': [c_void_p],
    # handle, mode, alpha, beta, x, y, parameters' descriptor, scale, bias, factor, running mean
    # and variance, epsilon, saved mean and inverse deviation
    'cudnnBatchNormalizationForwardTraining': [c_void_p, c_int]
    + [c_void_p] * 9
    + [c_double, c_void_p, c_void_p, c_double, c_void_p, c_void_p],
    # handle, mode, alpha and beta of data and of parameters, x, gy, gx, parameters' descriptor,
    # scale, its gradient and bias's, epsilon, saved mean and inverse deviation
    'cudnnBatchNormalizationBackward': [c_void_p, c_int]
    + [c_void_p] * 14
    + [c_double, c_void_p, c_void_p],
}
for _name in ('Forward', 'BackwardData', 'BackwardFilter'):
    # The passes differ in what is a tensor and what a filter, not in the order of arguments:
    # two operands, the convolution, the result.
    _SIGNATURES[f'cudnnGetConvolution{_name}Algorithm_v7'] = [c_void_p] * 5 + _perfs
    _SIGNATURES[f'cudnnFindConvolution{_name}AlgorithmEx'] = (
        [c_void_p] * 8 + _perfs + [c_void_p, c_size_t]
    )
    _SIGNATURES[f'cudnnConvolution{_name}'] = (
        [c_void_p] * 7 + [c_int, c_void_p, c_size_t] + [c_void_p] * 3
    )


class CuDNNError(RuntimeError):
    """A call into cuDNN failed.

    Attributes:
        status (int): what the library returned.
    """

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


class NotSupported(CuDNNError, seam.Refused):
    """cuDNN has no code for what it was asked, and Chainer's own has to go on."""


def is_not_supported(status: int) -> bool:
    """Return whether a status is CUDNN_STATUS_NOT_SUPPORTED or one of its kinds."""
    return 3000 <= status < 4000


def check(library: ctypes.CDLL, status: int, function: str, what: str | Callable[[], str]) -> None:
    """Raise an error unless ``status`` is success.

    Args:
        library: cuDNN.
        status: what a function of it returned.
        function: its name.
        what: shapes and parameters; called only on failure.

    Raises:
        NotSupported: it refuses these shapes, types or parameters.
        CuDNNError: it failed otherwise.
    """
    if status:
        more = ctypes.create_string_buffer(256)
        library.cudnnGetLastErrorString(more, len(more))
        text = library.cudnnGetErrorString(status).decode()
        if more.value:
            text += f' ({more.value.decode(errors="replace")})'
        message = f'{function}: {what() if callable(what) else what}: {text}'
        raise (NotSupported if is_not_supported(status) else CuDNNError)(message, status)


def _candidates() -> Iterator[str]:
    """Yield where the library may lie: in NVIDIA's wheels, then wherever the system looks."""
    wheels = importlib.util.find_spec('nvidia')
    for folder in (wheels.submodule_search_locations or ()) if wheels is not None else ():
        path = os.path.join(folder, 'cudnn', 'lib', NAME)
        if os.path.exists(path):
            yield path
    yield NAME


def load() -> ctypes.CDLL:
    """Load the library and declare its functions; this needs no GPU.

    Returns:
        ctypes.CDLL: the library.

    Raises:
        OSError: it is not there, cannot be loaded, or is another major version.
    """
    library = c_library.load(_candidates(), _SIGNATURES, 'cuDNN 9')
    library.cudnnGetVersion.argtypes = library.cudnnGetCudartVersion.argtypes = []
    library.cudnnGetVersion.restype = library.cudnnGetCudartVersion.restype = c_size_t
    library.cudnnGetErrorString.argtypes = [c_int]
    library.cudnnGetErrorString.restype = c_char_p
    library.cudnnGetLastErrorString.argtypes = [c_char_p, c_size_t]
    library.cudnnGetLastErrorString.restype = None
    return library


def create_handle(library: ctypes.CDLL) -> c_void_p:
    """Return a new handle (ctypes.c_void_p), bound to the current GPU."""
    handle = c_void_p()
    check(
        library,
        library.cudnnCreate(ctypes.byref(handle)),
        'cudnnCreate',
        f'GPU {cuda.cupy.cuda.get_device_id()}',
    )
    return handle


_lock = threading.Lock()
_state: dict[
    str, Any
] = {}  # what was found out: 'absent' and 'reason', each a str or None; 'library'


def _look() -> str | None:
    """Load the library, and return why it is not used, or None; no GPU is started for this."""
    if not cuda.available:
        return 'CuPy is not there, or lacks a library of CUDA'
    if cuda.cudnn_enabled:
        return f'Chainer has cuDNN from CuPy {cuda._cupy_major}'
    if cuda._cudnn_disabled_by_user:
        return 'CHAINER_CUDNN=0 is set'
    if cuda._cupy_major <= LAST_CUPY_WITH_CUDNN:
        return f'CuPy {cuda._cupy_major} has not found its cuDNN: {cuda._resolution_error}'
    runtime = cuda.cupy.cuda.runtime
    try:
        if not runtime.getDeviceCount():
            return 'there is no GPU'
    except runtime.CUDARuntimeError as error:
        return f'no GPU can be used: {error}'
    try:
        library = load()
    except OSError as error:
        return f'cuDNN 9 does not load: {error}'
    ours, theirs = library.cudnnGetCudartVersion() // 1000, runtime.runtimeGetVersion() // 1000
    if ours != theirs:
        return f'this cuDNN is for CUDA {ours}, and CuPy for CUDA {theirs}'
    _state['library'] = library
    return None


def _start() -> str | None:
    """Return why the library does not work on the current GPU, or None."""
    if _state['absent'] is not None:
        return _state['absent']
    try:
        _state['library'].cudnnDestroy(create_handle(_state['library']))
    except CuDNNError as error:  # it lacks one of its other libraries, or the driver is too old
        return str(error)
    return None


def _once(what: str, find: Callable[[], str | None]) -> str | None:
    if what not in _state:
        with _lock:
            if what not in _state:
                reason = find()
                _state[what] = reason and ' '.join(reason.split())
    return _state[what]


def is_wanted() -> bool:
    """Return whether CuPy is one that brings no cuDNN to Chainer itself."""
    return cuda.available and cuda._cupy_major > LAST_CUPY_WITH_CUDNN


def why_not() -> str | None:
    """Return why the library is not used here (str, one line), or None if it is.

    The first call starts to use the current GPU, if there is one.
    """
    _once('absent', _look)
    return _once('reason', _start)


def loaded() -> ctypes.CDLL | None:
    """Return the library (ctypes.CDLL), or None where it is not there. This starts no GPU."""
    return _state['library'] if _once('absent', _look) is None else None


def version() -> str | None:
    """Return the version of the library, e.g. '9.19.0', or None. This starts no GPU."""
    library = loaded()
    if library is None:
        return None
    number = library.cudnnGetVersion()
    return f'{number // 10000}.{number // 100 % 100}.{number % 100}'
