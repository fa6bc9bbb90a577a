"""Functions of single elements: ReLU, PReLU, sums. Any dense layout, the same in and out."""

import ctypes

import numpy as np

from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive


def _relu(size):
    def build():
        flat = primitive.contiguous((size,))
        return primitive.Primitive(
            f'ReLU of {size} elements',
            'dnnl_eltwise_forward_primitive_desc_create',
            (
                primitive.context().engine,
                dnnl.FORWARD_TRAINING,
                dnnl.ELTWISE_RELU_FROM_OUTPUT,
                flat,
                flat,
                0,
                0,
            ),
            [(dnnl.ARG_SRC, flat), (dnnl.ARG_DST, flat)],
        )

    return primitive.cached(('relu', size), build)


def relu(x):
    """Return max(x, 0) in the layout of float32 array ``x``."""
    x = memory.to_dense(x, 'ReLU')
    y = memory.empty_like(x)
    _relu(x.size).run(x, y)
    return y


def relu_in_place(x):
    """Overwrite dense float32 array ``x`` by max(x, 0)."""
    _relu(x.size).run(x, x)


def relu_gradient(y, gy):
    """Return gy where y > 0, else 0; both float32 of one shape."""
    y = memory.to_dense(y, 'ReLU')
    gy = memory.in_order_of(gy, y, 'ReLU gradient')

    def build():
        flat = primitive.contiguous((y.size,))
        return primitive.Primitive(
            f'gradient of ReLU of {y.size} elements',
            'dnnl_eltwise_backward_primitive_desc_create',
            (
                primitive.context().engine,
                dnnl.ELTWISE_RELU_FROM_OUTPUT,
                flat,
                flat,
                flat,
                0,
                0,
                _relu(y.size),
            ),
            [(dnnl.ARG_DST, flat), (dnnl.ARG_DIFF_DST, flat), (dnnl.ARG_DIFF_SRC, flat)],
        )

    gx = memory.empty_like(y)
    primitive.cached(('relu gradient', y.size), build).run(y, gy, gx)
    return gx


def add(xs, relu=False):
    """Return the sum of float32 arrays of one shape, in the layout of the first.

    Args:
        xs (sequence of numpy.ndarray): two or more.
        relu (bool): whether ReLU follows; only for two.
    """
    first = memory.to_dense(xs[0], 'sum')
    xs = [first] + [memory.in_order_of(x, first, 'sum') for x in xs[1:]]
    n, size = len(xs), first.size

    def build():
        flat = primitive.contiguous((size,))
        if n == 2:
            return primitive.Primitive(
                f'sum of 2 times {size} elements',
                'dnnl_binary_primitive_desc_create',
                (primitive.context().engine, dnnl.BINARY_ADD, flat, flat, flat),
                [(dnnl.ARG_SRC, flat), (dnnl.ARG_SRC_1, flat), (dnnl.ARG_DST, flat)],
                [primitive.RELU] * relu,
            )
        return primitive.Primitive(
            f'sum of {n} times {size} elements',
            'dnnl_sum_primitive_desc_create',
            (
                primitive.context().engine,
                flat,
                n,
                (ctypes.c_float * n)(*[1] * n),
                (ctypes.c_void_p * n)(*[flat.handle] * n),
            ),
            [(dnnl.ARG_MULTIPLE_SRC + i, flat) for i in range(n)] + [(dnnl.ARG_DST, flat)],
        )

    y = memory.empty_like(first)
    primitive.cached(('sum', n, size, relu), build).run(*xs + [y])
    return y


class _PReLU:
    """PReLU with a slope for each channel of an array (B, C, ...)."""

    def __init__(self, shape):
        name = f'PReLU {shape}'
        x = primitive.channels_last(shape) if len(shape) == 4 else primitive.contiguous(shape)
        w = primitive.contiguous((1, shape[1]) + (1,) * (len(shape) - 2))
        engine = primitive.context().engine
        self.forward = primitive.Primitive(
            name,
            'dnnl_prelu_forward_primitive_desc_create',
            (engine, dnnl.FORWARD_TRAINING, x, w, x),
            [(dnnl.ARG_SRC, x), (dnnl.ARG_WEIGHTS, w), (dnnl.ARG_DST, x)],
        )
        self.backward = primitive.Primitive(
            name + ' gradient',
            'dnnl_prelu_backward_primitive_desc_create',
            (engine, x, w, x, w, x, self.forward),
            [
                (dnnl.ARG_SRC, x),
                (dnnl.ARG_WEIGHTS, w),
                (dnnl.ARG_DIFF_SRC, x),
                (dnnl.ARG_DIFF_WEIGHTS, w),
                (dnnl.ARG_DIFF_DST, x),
            ],
        )


def _prelu_order(x, why):
    return memory.to_channels_last(x, why) if x.ndim == 4 else memory.to_contiguous(x, why)


def prelu(x, W):
    """Return x where x >= 0, else W x.

    Args:
        x (numpy.ndarray): float32 (B, C, H, W) or (B, C).
        W (numpy.ndarray): float32 (C,), the slopes.
    """
    x = _prelu_order(x, 'PReLU')
    W = np.ascontiguousarray(W)
    y = memory.empty_like(x)
    primitive.cached(('prelu', x.shape), lambda: _PReLU(x.shape)).forward.run(x, W, y)
    return y


def prelu_gradient(x, W, gy):
    """Return the gradients of x and W; arguments as in :func:`prelu`, gy like x."""
    x = _prelu_order(x, 'PReLU')
    gy = memory.in_order_of(gy, x, 'PReLU gradient')
    W = np.ascontiguousarray(W)
    gx = memory.empty_like(x)
    gW = memory.empty(W.shape)
    primitive.cached(('prelu', x.shape), lambda: _PReLU(x.shape)).backward.run(x, W, gx, gW, gy)
    zero = x == 0
    if zero.any():  # where the two libraries take the derivative from different sides
        np.copyto(gx, gy, where=zero)
    return gx, gW
