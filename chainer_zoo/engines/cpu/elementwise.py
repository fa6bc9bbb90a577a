"""Functions of single elements: ReLU, PReLU, sums. Any dense layout, the same in and out.

oneDNN's ReLU makes 0 of NaN, so compiled loops compute it, or NumPy where they cannot be had.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import openmp
from chainer_zoo.engines.cpu import primitive


def relu(x: np.ndarray) -> np.ndarray:
    """Return max(x, 0) in the layout of float32 array ``x``; NaN stays NaN."""
    x = memory.to_dense(x, 'ReLU')
    y = memory.empty_like(x)
    _relu(x, y)
    return y


def relu_in_place(x: np.ndarray) -> None:
    """Overwrite dense float32 array ``x`` by max(x, 0); NaN stays NaN."""
    _relu(x, x)


def _relu(x, y):
    if openmp.can_run():
        openmp.run('ReLU', 'rectify', (openmp.flat(x), openmp.flat(y)), ())
    else:
        np.maximum(x, 0, out=y)


def relu_gradient(y: np.ndarray, gy: np.ndarray) -> np.ndarray:
    """Return gy where y > 0, else 0 gy, as Chainer does; both float32 of one shape."""
    y = memory.to_dense(y, 'ReLU')
    gy = memory.in_order_of(gy, y, 'ReLU gradient')
    gx = memory.empty_like(y)
    if openmp.can_run():
        arrays = [openmp.flat(a) for a in (y, gy, gx)]
        openmp.run('ReLU, gradient', 'differentiate_relu', arrays, ())
    else:
        np.multiply(gy, y > 0, out=gx)
    return gx


def is_finite(x: np.ndarray) -> bool:
    """Return whether all numbers of float32 array ``x`` are finite."""
    x = memory.to_dense(x, 'look for NaN and infinity')
    if not openmp.can_run():
        return bool(np.isfinite(x).all())
    found = np.zeros(openmp.thread_limit(), np.float32)
    openmp.run('look for NaN and infinity', 'look_for_nonfinite', (openmp.flat(x), found), ())
    return not found.any()


def add(xs: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sum of two or more float32 arrays of one shape, in the layout of the first."""
    first, *others = xs
    first = memory.to_dense(first, 'sum')
    xs = [first] + [memory.in_order_of(x, first, 'sum') for x in others]
    n, size = len(xs), first.size

    def build():
        flat = primitive.contiguous((size,))
        if n == 2:
            return primitive.Primitive(
                f'sum of 2 times {size} elements',
                'dnnl_binary_primitive_desc_create',
                (primitive.context().engine, dnnl.BINARY_ADD, flat, flat, flat),
                [(dnnl.ARG_SRC, flat), (dnnl.ARG_SRC_1, flat), (dnnl.ARG_DST, flat)],
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
    primitive.cached(('sum', n, size), build).run(*xs, y)
    return y


def add_relu(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return max(a + b, 0) of float32 arrays of one shape, in the layout of ``a``."""
    if not openmp.can_run():
        y = add((a, b))
        relu_in_place(y)
        return y
    a = memory.to_dense(a, 'sum')
    b = memory.in_order_of(b, a, 'sum')
    y = memory.empty_like(a)
    arrays = [openmp.flat(x) for x in (a, b, y)]
    openmp.run('sum and ReLU', 'add_and_rectify', arrays, ())
    return y


def can_prelu(x: np.ndarray, W: np.ndarray) -> bool:
    """Return whether :func:`prelu` and :func:`prelu_gradient` compute with arrays."""
    return (
        memory.is_plain(x, W) and x.ndim in (2, 4) and W.shape == x.shape[1:2] and openmp.can_run()
    )


def prelu(x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Return x where x >= 0, else W x.

    Args:
        x: float32 (B, C, H, W) or (B, C).
        W: float32 (C,), the slopes.
    """
    x = _prelu_order(x, 'PReLU')
    W = memory.to_contiguous(W, 'PReLU slopes')
    y = memory.empty_like(x)
    openmp.run('PReLU', 'prelu', (openmp.flat(x), openmp.flat(y), W), ())
    return y


def prelu_gradient(x: np.ndarray, W: np.ndarray, gy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of x and W; arguments as in :func:`prelu`, gy like x."""
    x = _prelu_order(x, 'PReLU')
    gy = _prelu_order(gy, 'PReLU gradient')
    W = memory.to_contiguous(W, 'PReLU slopes')
    gx = memory.empty_like(gy)
    sums = np.zeros((openmp.thread_limit(), 1, W.size), np.float32)
    openmp.run(
        'PReLU, gradient',
        'differentiate_prelu',
        (openmp.flat(x), openmp.flat(gy), openmp.flat(gx), W, sums),
        (),
    )
    return gx, sums.sum(axis=(0, 1))


def _prelu_order(x, why):
    return memory.to_channels_last(x, why) if x.ndim == 4 else memory.to_contiguous(x, why)
