"""What the functions of this package share about arrays and number formats."""

from __future__ import annotations

import numpy as np
from chainer import backend

#: CUDA for arithmetic in the format that a value is computed in: float for float16 and float,
#: double for double. The intrinsics round each step as NumPy does. Without them the compiler fuses
#: a product and a sum, which rounds once.
CUDA_SOURCE = """
template <typename T> struct computed { typedef float type; };
template <> struct computed<double> { typedef double type; };

__device__ __forceinline__ float times(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ double times(double a, double b) { return __dmul_rn(a, b); }
__device__ __forceinline__ float plus(float a, float b) { return __fadd_rn(a, b); }
__device__ __forceinline__ double plus(double a, double b) { return __dadd_rn(a, b); }
"""


def computing_dtype(dtype: np.dtype) -> np.dtype:
    """Return the format in which values of ``dtype`` are computed: float32 for float16."""
    return np.promote_types(dtype, np.float32)


def empty(like, shape: tuple[int, ...] | None = None):
    """Return an uninitialized array with the device, dtype and memory layout of ``like``.

    Args:
        like (:ref:`ndarray`): an array. The order of its axes in memory is kept, so channels last
            stays channels last.
        shape (tuple of int or None): if it is not ``like.shape``. It has as many axes.
    """
    xp = backend.get_array_module(like)
    return xp.empty_like(like) if shape is None else xp.empty_like(like, shape=shape)


def index_type(*arrays) -> str:
    """Return the integers that reach every element: 'int32', which is faster, or 'int64'."""
    fits = all(a.size <= np.iinfo(np.int32).max for a in arrays)
    return 'int32' if fits else 'int64'
