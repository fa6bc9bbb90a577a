"""Batch normalization and its gradient, alone or with ReLU after it; channels last.

Compiled loops compute it, which pass NaN and infinity on as Chainer's own code does. Without them
oneDNN normalizes, and ReLU is a pass of its own.
"""

from __future__ import annotations

import numpy as np

from chainer_zoo.engines.cpu import elementwise
from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import openmp
from chainer_zoo.engines.cpu import primitive


def can_normalize(
    x_shape: tuple[int, ...], axis: tuple[int, ...] | None, *parameters: np.ndarray | None
) -> bool:
    """Return whether the engine normalizes float32 arrays of a shape.

    Args:
        x_shape: (B, C, H, W) or (B, C).
        axis: what statistics are taken over.
        *parameters: scale, shift and, where given, statistics: all must be there, float32 (C,).
    """
    return (
        len(x_shape) in (2, 4)
        and axis in (None, (0,) + tuple(range(2, len(x_shape))))
        and memory.is_plain(*parameters)
        and all(a.shape == x_shape[1:2] for a in parameters)
    )


def forward(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float, relu: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize with the statistics of the batch.

    Args:
        x: float32 (B, C, H, W) or (B, C).
        gamma: float32 (C,), the scale.
        beta: float32 (C,), the shift.
        eps: added to the variance.
        relu: whether ReLU follows.

    Returns:
        tuple: y like x, channels last; mean and variance (biased), float32 (C,).
    """
    x4 = memory.to_channels_last(_as_4d(x), 'batch normalization')
    gamma = memory.to_contiguous(gamma, 'batch normalization scale')
    beta = memory.to_contiguous(beta, 'batch normalization shift')
    if openmp.can_run():
        mean, var = moments(x4)
        y = _normalize(x4, gamma, beta, mean, var, eps, relu)
    else:
        y = memory.empty_channels_last(x4.shape)
        mean, var = memory.empty(gamma.shape), memory.empty(gamma.shape)
        _get(x4.shape, eps).forward.run(x4, y, mean, var, gamma, beta)
        if relu:
            elementwise.relu_in_place(y)
    return y.reshape(x.shape), mean, var


def fixed(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    eps: float,
    relu: bool,
) -> np.ndarray:
    """Normalize with given statistics; returns y like x. Arguments as in :func:`forward`."""
    x4 = memory.to_channels_last(_as_4d(x), 'batch normalization')
    gamma, beta, mean, var = [
        memory.to_contiguous(a, 'batch normalization statistics') for a in (gamma, beta, mean, var)
    ]
    if openmp.can_run():
        y = _normalize(x4, gamma, beta, mean, var, eps, relu)
    else:
        y = memory.empty_channels_last(x4.shape)
        _get(x4.shape, eps).fixed.run(x4, y, mean, var, gamma, beta)
        if relu:
            elementwise.relu_in_place(y)
    return y.reshape(x.shape)


def backward(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray | None,
    mean: np.ndarray,
    var: np.ndarray,
    gy: np.ndarray,
    eps: float,
    relu: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of x, gamma and beta.

    Args:
        x, gamma, eps, relu: as in :func:`forward`.
        beta: as there; None will do where no ReLU followed.
        mean, var: what it returned.
        gy: float32, the gradient of its result.
    """
    x4 = memory.to_channels_last(_as_4d(x), 'batch normalization')
    gy4 = memory.to_channels_last(_as_4d(gy), 'batch normalization gradient')
    gamma = memory.to_contiguous(gamma, 'batch normalization scale')
    if relu:
        beta = memory.to_contiguous(beta, 'batch normalization shift')
    if openmp.can_run():
        gx, ggamma, gbeta = _differentiate(x4, gamma, beta, mean, var, gy4, eps, relu)
    else:
        if relu:
            y = memory.empty_channels_last(x4.shape)
            _get(x4.shape, eps).fixed.run(x4, y, mean, var, gamma, beta)
            gy4 = elementwise.relu_gradient(y, gy4)
        gx = memory.empty_channels_last(x4.shape)
        ggamma, gbeta = memory.empty(gamma.shape), memory.empty(gamma.shape)
        _get(x4.shape, eps).backward.run(x4, mean, var, gamma, gy4, gx, ggamma, gbeta)
    return gx.reshape(x.shape), ggamma, gbeta


def update_statistics(
    count: int,
    mean: np.ndarray,
    var: np.ndarray,
    decay: float,
    running_mean: np.ndarray | None,
    running_var: np.ndarray | None,
) -> None:
    """Update running statistics in place as Chainer does.

    Args:
        count: how many numbers of each channel were normalized.
        mean, var: of this batch, float32 (C,); the variance is biased.
        decay: what the running statistics keep of themselves.
        running_mean, running_var: overwritten.
    """
    if running_mean is not None:
        running_mean *= decay
        running_mean += (1 - decay) * mean
        running_var *= decay
        running_var += (1 - decay) * (count / max(count - 1.0, 1.0)) * var  # unbiased


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and (biased) variance of each channel, float32 (C,), exact to rounding.

    oneDNN adds up one pixel after the other in float32, which costs a deep network a digit.

    Args:
        x: float32 (B, C, H, W), channels last.
    """
    found = memory.empty((openmp.thread_limit(), 3, x.shape[1]))
    found[:, 0] = 0  # a thread may have nothing to do
    openmp.run('batch normalization, moments', 'take_moments', (openmp.pixels(x), found), ())
    mean, var = memory.empty(x.shape[1:2]), memory.empty(x.shape[1:2])
    openmp.loops().join_moments(found, mean, var)
    return mean, var


def _as_4d(x):
    return x if x.ndim == 4 else x[:, :, None, None]


def _normalize(x, gamma, beta, mean, var, eps, relu):
    y = memory.empty_channels_last(x.shape)
    scale = gamma / np.sqrt(var + np.float32(eps))
    openmp.run(
        'batch normalization',
        'normalize',
        (openmp.flat(x), openmp.flat(y), mean, scale, beta),
        (relu,),
    )
    return y


def _differentiate(x, gamma, beta, mean, var, gy, eps, relu):
    count = x.size // gamma.size
    inv_std = 1 / np.sqrt(var + np.float32(eps))
    scale = gamma * inv_std
    if not relu:
        beta = mean  # which is not read
    x, flat_gy = openmp.flat(x), openmp.flat(gy)
    sums = memory.empty((openmp.thread_limit(), 2, gamma.size))
    sums.fill(0)  # a thread may have nothing to do
    openmp.run(
        'batch normalization, gradient sums',
        'sum_gradients',
        (x, flat_gy, mean, scale, beta, sums),
        (relu,),
    )
    gbeta, products = sums.sum(axis=0)
    ggamma = products * inv_std
    gx = memory.empty_like(gy)
    openmp.run(
        'batch normalization, gradient',
        'differentiate_normalization',
        (x, flat_gy, openmp.flat(gx), mean, scale, beta, gbeta / count, ggamma * inv_std / count),
        (relu,),
    )
    return gx, ggamma, gbeta


class _OneDNN:
    """oneDNN's primitives for one shape.

    Args:
        shape (tuple of int): (B, C, H, W).
        eps (float): added to the variance.
    """

    def __init__(self, shape, eps):
        x, c = primitive.channels_last(shape), primitive.contiguous(shape[1:2])
        affine = dnnl.USE_SCALE | dnnl.USE_SHIFT
        arguments = [
            (dnnl.ARG_SRC, x),
            (dnnl.ARG_DST, x),
            (dnnl.ARG_MEAN, c),
            (dnnl.ARG_VARIANCE, c),
            (dnnl.ARG_SCALE, c),
            (dnnl.ARG_SHIFT, c),
        ]
        engine = primitive.context().engine
        self.forward, self.fixed = [
            primitive.Primitive(
                f'batch normalization {shape} forward',
                'dnnl_batch_normalization_forward_primitive_desc_create',
                (engine, kind, x, x, eps, flags),
                arguments,
            )
            for kind, flags in (
                (dnnl.FORWARD_TRAINING, affine),
                (dnnl.FORWARD_INFERENCE, affine | dnnl.USE_GLOBAL_STATS),
            )
        ]
        self.backward = primitive.Primitive(
            f'batch normalization {shape} backward',
            'dnnl_batch_normalization_backward_primitive_desc_create',
            (engine, dnnl.BACKWARD, x, x, x, eps, affine, self.forward),
            [
                (dnnl.ARG_SRC, x),
                (dnnl.ARG_MEAN, c),
                (dnnl.ARG_VARIANCE, c),
                (dnnl.ARG_SCALE, c),
                (dnnl.ARG_DIFF_DST, x),
                (dnnl.ARG_DIFF_SRC, x),
                (dnnl.ARG_DIFF_SCALE, c),
                (dnnl.ARG_DIFF_SHIFT, c),
            ],
        )


def _get(shape, eps):
    return primitive.cached(('normalization', shape, eps), lambda: _OneDNN(shape, eps))
