"""What the functions of this package share about arrays and number formats."""

import numpy as np
from chainer import backend

#: CUDA for arithmetic in the format that a value is computed in: float for float16 and float,
#: double for double. The intrinsics round each step, as NumPy does, where the compiler would
#: otherwise join a product and a sum.
source = """
template <typename T> struct computed { typedef float type; };
template <> struct computed<double> { typedef double type; };

__device__ __forceinline__ float times(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ double times(double a, double b) { return __dmul_rn(a, b); }
__device__ __forceinline__ float plus(float a, float b) { return __fadd_rn(a, b); }
__device__ __forceinline__ double plus(double a, double b) { return __dadd_rn(a, b); }
"""


def computed(dtype):
    """Return the format in which values of ``dtype`` are computed: float32 for float16."""
    return np.promote_types(dtype, np.float32)


def empty(like, shape=None):
    """Return an array without values, in the device, dtype and memory layout of ``like``.

    Args:
        like (:ref:`ndarray`): its axes' order in memory is kept (channels last stays so).
        shape (tuple of int): where it differs from ``like.shape``; as many axes.
    """
    xp = backend.get_array_module(like)
    return xp.empty_like(like) if shape is None else xp.empty_like(like, shape=shape)


def index_type(*arrays):
    """Return which integers reach every element: 'int32' (faster) where they do, else 'int64'."""
    fits = all(a.size <= np.iinfo(np.int32).max for a in arrays)
    return 'int32' if fits else 'int64'
