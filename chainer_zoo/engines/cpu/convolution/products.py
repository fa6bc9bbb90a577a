"""The gradient of a convolution's weights as products of matrices.

Without AVX-512 oneDNN's own code for this gradient is slow, most of all while other programs use
the memory. Its matrix products are not slow.

A 1x1 kernel needs one product over all pixels: gradients of the result times inputs. For a larger
kernel, zeros are put between the rows of the images. Then each element of the kernel reads its
pixels at a fixed distance from those of the result, so each element needs one product too. The K
elements of one kernel row share a product, because K consecutive pixels are contiguous: one row of
K C numbers. Such rows overlap, which oneDNN does not take as a matrix, so every K-th row is taken,
K times.
"""

from __future__ import annotations

import numpy as np

from chainer_zoo import threads
from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.geometry import Geometry

# Floats that are worked on at a time: they stay in the cache.
_CHUNK = 1 << 20

# Borders cost more than products gain where images are smaller than this.
_LEAST_SIZE = 24

#: oneDNN's code that is slower.
SLOW = 'jit_1x1:avx2', 'jit:avx2'


def should_compute(geometry: Geometry) -> bool:
    """Return whether :func:`gradient` can be computed here, and the images are large enough."""
    kernel = geometry.w_shape[2]
    return (
        geometry.groups == 1
        and geometry.w_shape[3] == kernel
        and kernel % 2 == 1
        and geometry.stride == (1, 1)
        and geometry.x_shape[2:] == geometry.y_shape[2:]
        and geometry.pad == (kernel // 2, kernel // 2)
        and (
            kernel == 1 or geometry.dilation == (1, 1) and min(geometry.x_shape[2:]) >= _LEAST_SIZE
        )
    )


def gradient(
    x: np.ndarray, gy: np.ndarray, geometry: Geometry, with_bias: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the gradients of weights and bias.

    Args:
        x: float32 (B, C, H, W), channels last.
        gy: float32 (B, O, H, W), channels last, the gradient of the result.
        geometry: of the convolution: stride 1, an odd square kernel, a result of the input's size.
        with_bias: whether the gradient of the bias is wanted.

    Returns:
        tuple: float32 arrays of shape ``w_shape`` and (O,), the second None without bias.
    """
    b, c, h, w = x.shape
    o, _, kernel, _ = geometry.w_shape
    sums = np.zeros((kernel, o, kernel * c), np.float32)
    gb = np.zeros((1, o), np.float32) if with_bias else None
    count = -(-b * (h + kernel) * (w + kernel) * (c + o) // _CHUNK)
    for part in threads.cut(b, count):
        if kernel == 1:
            xs = x[part].transpose(0, 2, 3, 1).reshape(-1, c)
            gys = gy[part].transpose(0, 2, 3, 1).reshape(-1, o)
        else:
            xs, gys = _bordered(x[part], gy[part], kernel)
        run = _product(len(gys) // kernel, kernel, o, c)
        for i in range(kernel):
            for first in range(kernel):
                run.run(gys[first:], xs[i * (w + kernel // 2) + first :], sums[i])
        if with_bias:
            _total(gys.shape).run(np.ones((1, len(gys)), np.float32), gys, gb)
    gW = memory.empty(geometry.w_shape)
    gW[...] = sums.reshape(kernel, o, kernel, c).transpose(1, 3, 0, 2)
    return gW, gb[0] if with_bias else None


def _bordered(x, gy, kernel):
    """Return pixels and gradients as matrices with a row for each pixel, borders of zeros between.

    Each row of an image is followed by half a kernel of zeros, and each image by as many rows of
    them. The matrix of pixels begins and ends with such a border too.
    """
    b, c, h, w = x.shape
    half = kernel // 2
    n = b * (h + half) * (w + half)
    rows = -(-n // kernel) * kernel
    around = half * (w + half) + half
    xs = _spread(x, around, around + rows - n, half)
    return xs, _spread(gy, 0, rows - n, half)


def _spread(x, before, after, half):
    """Return ``x`` with borders as a matrix, with rows of zeros before and after it."""
    b, c, h, w = x.shape
    n = b * (h + half) * (w + half)
    y = memory.empty((before + n + after, c))
    y[:before] = 0
    y[before + n :] = 0
    inner = y[before : before + n].reshape(b, h + half, w + half, c)
    inner[:, h:] = 0
    inner[:, :, w:] = 0
    strides = (h + half) * (w + half) * c, 1, (w + half) * c, c
    primitive.cached(
        ('spread', x.shape, half),
        lambda: primitive.reorder(
            primitive.channels_last(x.shape), primitive.strided(x.shape, strides)
        ),
    ).run(x, inner)
    return y


def _product(rows, kernel, o, c):
    """Return the primitive that adds a product over every ``kernel``-th row."""

    def build():
        gy = primitive.strided((o, rows), (1, kernel * o))
        x = primitive.contiguous((rows, kernel * c))
        return _sum_of_products(gy, x, primitive.contiguous((o, kernel * c)))

    return primitive.cached(('weights as product', rows, kernel, o, c), build)


def _total(shape):
    """Return the primitive that adds all rows of a matrix of ``shape``."""
    rows, o = shape
    return primitive.cached(
        ('sum of rows', shape),
        lambda: _sum_of_products(
            primitive.contiguous((1, rows)),
            primitive.contiguous(shape),
            primitive.contiguous((1, o)),
        ),
    )


def _sum_of_products(a, b, y):
    return primitive.Primitive(
        'product for the gradient of weights',
        'dnnl_matmul_primitive_desc_create',
        (primitive.context().engine, a, b, None, y),
        list(zip((dnnl.ARG_SRC, dnnl.ARG_WEIGHTS, dnnl.ARG_DST), (a, b, y))),
        [primitive.SUM],
    )
