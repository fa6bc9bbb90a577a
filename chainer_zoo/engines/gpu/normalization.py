"""Batch normalization with batch statistics on cuDNN.

Arrays are (B, C, H, W), normalized over B, H and W, or have the channels in their last axis and
are normalized over all others. Parameters and statistics (C,) are float64 beside float64, and
float32 beside float32 and float16: :func:`parameter_type`.
"""

from __future__ import annotations

import ctypes

import chainer
import numpy as np
import numpy.typing as npt
from chainer.backends import cuda

from chainer_zoo.engines.gpu import context
from chainer_zoo.engines.gpu import library

# With more samples the kernels for (B, C) cannot be launched.
_MOST_SAMPLES = 131070


def parameter_type(dtype: npt.DTypeLike) -> np.dtype:
    """Return the type of parameters and statistics beside arrays of a type."""
    return np.dtype(np.float64 if np.dtype(dtype) == np.float64 else np.float32)


def can_compute(
    x: cuda.ndarray, gamma: cuda.ndarray, key_axis: tuple[int, ...], eps: float
) -> bool:
    """Return whether cuDNN computes this, as Chainer's own use of cuDNN decides it.

    Args:
        x: to normalize.
        gamma: scale.
        key_axis: the axes of x that gamma has.
        eps: added to the variance.
    """
    if (
        gamma.ndim != 1
        or not 0 < x.size < 2**31
        or x.dtype.char not in library.DATA_TYPES
        or eps < 0
        or gamma.dtype not in (x.dtype, parameter_type(x.dtype))
    ):
        return False
    samples = x.size // gamma.size
    if samples == 1:
        return False  # the variance that running statistics get would be 0 / 0
    if x.ndim == 4 and key_axis[0] == 1:
        return True
    return key_axis[0] == x.ndim - 1 and x.dtype != np.float16 and samples <= _MOST_SAMPLES


class _Plan:
    """Descriptors of arrays and parameters of one shape and type."""

    def __init__(self, here: context.Context, shape: tuple[int, ...], char: str):
        data_type = library.DATA_TYPES[char]
        parameters = library.DATA_TYPES[parameter_type(char).char]
        self.x = here.descriptor(
            self, 'Tensor', 'cudnnSetTensor4dDescriptor', library.NCHW, data_type, *shape
        )
        self.parameters = here.descriptor(
            self,
            'Tensor',
            'cudnnSetTensor4dDescriptor',
            library.NCHW,
            parameters,
            1,
            shape[1],
            1,
            1,
        )
        self.one, self.zero = (ctypes.byref(s[char]) for s in (context.ONE, context.ZERO))


def _plan(
    here: context.Context, x: cuda.ndarray, channels: int, spatial: bool
) -> tuple[int, _Plan]:
    """Return the mode and the :class:`_Plan` for an array."""
    if spatial:
        shape = x.shape
        mode = (
            library.BATCHNORM_SPATIAL_PERSISTENT
            if chainer.config.cudnn_fast_batch_normalization
            else library.BATCHNORM_SPATIAL
        )
    else:
        shape = x.size // channels, channels, 1, 1
        mode = library.BATCHNORM_PER_ACTIVATION
    char = x.dtype.char
    return mode, here.plan(('BN', shape, char), lambda here: _Plan(here, shape, char))


def _parameter(array: cuda.ndarray, dtype: np.dtype) -> cuda.ndarray:
    return context.plain(array.astype(dtype, copy=False))


def forward(
    x: cuda.ndarray,
    gamma: cuda.ndarray,
    beta: cuda.ndarray,
    eps: float,
    decay: float,
    running_mean: cuda.ndarray | None,
    running_var: cuda.ndarray | None,
    spatial: bool,
) -> tuple[cuda.ndarray, cuda.ndarray, cuda.ndarray]:
    """Normalize with the batch's statistics, and update the running ones.

    Args:
        x: (B, C, H, W) where ``spatial``, else (..., C).
        gamma: scale (C,).
        beta: shift (C,).
        eps: added to the variance.
        decay: weight of the running statistics against the batch's.
        running_mean: (C,), changed in place; or None.
        running_var: (C,), likewise. It follows the unbiased variance.
        spatial: which of the shapes x has.

    Returns:
        y as x; mean and inverse standard deviation (C,).

    Raises:
        ~chainer_zoo.engines.gpu.library.NotSupported: cuDNN refuses; nothing has changed.
        ~chainer_zoo.engines.gpu.library.CuDNNError: it fails.
    """
    here = context.current()
    mode, plan = _plan(here, x, gamma.size, spatial)
    dtype = parameter_type(x.dtype)
    x, gamma, beta = context.plain(x), _parameter(gamma, dtype), _parameter(beta, dtype)
    y = cuda.cupy.empty(x.shape, x.dtype)
    mean, inv_std = (cuda.cupy.empty(gamma.shape, dtype) for _ in range(2))
    theirs = () if running_mean is None else (running_mean, running_var)
    running = [_parameter(array, dtype) for array in theirs]
    status = here.library.cudnnBatchNormalizationForwardTraining(
        here.handle,
        mode,
        plan.one,
        plan.zero,
        plan.x,
        x.data.ptr,
        plan.x,
        y.data.ptr,
        plan.parameters,
        gamma.data.ptr,
        beta.data.ptr,
        1 - float(decay),
        *([array.data.ptr for array in running] or [None, None]),
        float(eps),
        mean.data.ptr,
        inv_std.data.ptr,
    )
    library.check(
        here.library, status, 'cudnnBatchNormalizationForwardTraining', lambda: _words(x, mode, eps)
    )
    for array, updated in zip(theirs, running):
        if updated is not array:
            array[...] = updated
    return y, mean, inv_std


def backward(
    x: cuda.ndarray,
    gamma: cuda.ndarray,
    gy: cuda.ndarray,
    eps: float,
    mean: cuda.ndarray,
    inv_std: cuda.ndarray,
    spatial: bool,
) -> tuple[cuda.ndarray, cuda.ndarray, cuda.ndarray]:
    """Return the gradients of x, gamma and beta, from gy, of x's shape and type.

    ``mean`` and ``inv_std`` are :func:`forward`'s; other arguments and errors as there.
    """
    here = context.current()
    mode, plan = _plan(here, x, gamma.size, spatial)
    dtype = parameter_type(x.dtype)
    x, gy, scale = context.plain(x), context.plain(gy), _parameter(gamma, dtype)
    gx = cuda.cupy.empty(x.shape, x.dtype)
    ggamma, gbeta = (cuda.cupy.empty(gamma.shape, dtype) for _ in range(2))
    status = here.library.cudnnBatchNormalizationBackward(
        here.handle,
        mode,
        plan.one,
        plan.zero,
        plan.one,
        plan.zero,
        plan.x,
        x.data.ptr,
        plan.x,
        gy.data.ptr,
        plan.x,
        gx.data.ptr,
        plan.parameters,
        scale.data.ptr,
        ggamma.data.ptr,
        gbeta.data.ptr,
        float(eps),
        mean.data.ptr,
        inv_std.data.ptr,
    )
    library.check(
        here.library, status, 'cudnnBatchNormalizationBackward', lambda: _words(x, mode, eps)
    )
    return gx, ggamma.astype(gamma.dtype, copy=False), gbeta.astype(gamma.dtype, copy=False)


def _words(x: cuda.ndarray, mode: int, eps: float) -> str:
    return f'x {x.shape}, mode {mode}, eps {eps}, {x.dtype.name}'
