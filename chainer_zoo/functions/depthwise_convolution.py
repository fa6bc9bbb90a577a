"""Depthwise convolution that is fast on a CPU with NumPy alone."""

import chainer
import chainer.functions as F
import numpy as np
from chainer import function_node
from chainer.utils import type_check

from chainer_zoo import engines
from chainer_zoo.errors import UserError
from chainer_zoo.functions import _array

# Numbers in the columns of one chunk (a megabyte as float32): they are written and read again at
# once, so they should stay in the second-level cache.
_CHUNK = 1 << 18


class _Chunks:
    """Images (B, C, H, W) as columns for a K x K kernel, some images and channels at a time.

    A chunk's images are padded and laid behind each other, a row for each channel. Then the
    pixels that kernel element (i, j) sees are that row from pixel i * width + j on: K * K shifted
    copies make the columns, and one product over all channels does the rest. Positions that lie
    across an image's edge are computed too and left out of the result.

    Args:
        shape (tuple of ints): (B, C, H, W).
        ksize (pair of ints): height and width of the kernel.
        pad (pair of ints): zeros above and below, left and right.
    """

    def __init__(self, shape, ksize, pad):
        self.shape = shape
        self.ksize = ksize
        self.pad = pad
        self.padded = tuple(size + 2 * p for size, p in zip(shape[2:], pad))
        self.out = tuple(size - k + 1 for size, k in zip(self.padded, ksize))

    def __iter__(self):
        """Yield pairs of slices: of images and of channels."""
        column = self.ksize[0] * self.ksize[1] * self.padded[0] * self.padded[1]
        images = max(1, min(self.shape[0], _CHUNK // (8 * column)))
        channels = max(1, _CHUNK // (images * column))
        for b in range(0, self.shape[0], images):
            for c in range(0, self.shape[1], channels):
                yield slice(b, b + images), slice(c, c + channels)

    def columns(self, x):
        """Return the columns (C, KH * KW, N) of one chunk ``x`` (B, C, H, W)."""
        height, width = self.padded
        top, left = self.pad
        rows = np.zeros((x.shape[1], x.shape[0], height, width), x.dtype)
        rows[:, :, top : top + x.shape[2], left : left + x.shape[3]] = x.transpose(1, 0, 2, 3)
        rows = rows.reshape(x.shape[1], -1)
        n = rows.shape[1]
        columns = np.empty((x.shape[1], self.ksize[0] * self.ksize[1], n), x.dtype)
        for k, (i, j) in enumerate(np.ndindex(*self.ksize)):
            start = i * width + j
            columns[:, k, : n - start] = rows[:, start:]
            columns[:, k, n - start :] = 0
        return columns

    def images(self, y):
        """Return one chunk's result (C, N) as a view (B, C, out H, out W)."""
        y = y.reshape((y.shape[0], -1) + self.padded)[:, :, : self.out[0], : self.out[1]]
        return y.transpose(1, 0, 2, 3)


def _check_type(in_types, pad):
    type_check._argname(in_types, ('x', 'W'))
    x, w = in_types
    type_check.expect(
        x.dtype.kind == 'f',
        w.dtype.kind == 'f',
        x.ndim == 4,
        w.ndim == 4,
        x.shape[1] == w.shape[0],
        w.shape[1] == 1,
        x.shape[2] + 2 * pad[0] >= w.shape[2],
        x.shape[3] + 2 * pad[1] >= w.shape[3],
    )


def _mirror(w):
    return F.flip(F.flip(w, 2), 3)


def _gradient_of_images(gy, w, pad):
    """Each pixel gets what it gave: a convolution of ``gy`` with the mirrored kernels."""
    back = tuple(k - 1 - p for k, p in zip(w.shape[2:], pad))
    return DepthwiseConvolution(back).apply((gy, _mirror(w)))[0]


class DepthwiseConvolution(function_node.FunctionNode):
    """y[b, c] is the convolution of x[b, c] with W[c, 0], at every position.

    Args:
        pad (pair of ints): zeros above and below, left and right; less than the kernel's size.
    """

    def __init__(self, pad):
        super().__init__()
        self.pad = pad

    def check_type_forward(self, in_types):
        _check_type(in_types, self.pad)

    def forward_cpu(self, inputs):
        self.retain_inputs((0, 1))
        x, w = inputs
        chunks = _Chunks(x.shape, w.shape[2:], self.pad)
        kernels = w.reshape(len(w), 1, -1)
        y = np.empty(x.shape[:2] + chunks.out, x.dtype)
        for b, c in chunks:
            y[b, c] = chunks.images(np.matmul(kernels[c], chunks.columns(x[b, c]))[:, 0])
        return (y,)

    def backward(self, indexes, grad_outputs):
        x, w = self.get_retained_inputs()
        (gy,) = grad_outputs
        gradients = []
        if 0 in indexes:
            gradients.append(_gradient_of_images(gy, w, self.pad))
        if 1 in indexes:
            gradients.append(
                DepthwiseConvolutionGradW(self.pad, w.shape[2:], w.dtype).apply((x, gy))[0]
            )
        return tuple(gradients)


class DepthwiseConvolutionGradW(function_node.FunctionNode):
    """Gradient of :class:`DepthwiseConvolution` with respect to its kernels.

    Args:
        pad (pair of ints): as forward.
        ksize (pair of ints): height and width of the kernels.
        dtype: of the kernels.
    """

    def __init__(self, pad, ksize, dtype):
        super().__init__()
        self.pad = pad
        self.ksize = ksize
        self.dtype = dtype

    def forward_cpu(self, inputs):
        self.retain_inputs((0, 1))
        x, gy = inputs
        chunks = _Chunks(x.shape, self.ksize, self.pad)
        gw = np.zeros(
            (x.shape[1], self.ksize[0] * self.ksize[1], 1), _array.computing_dtype(x.dtype)
        )
        for b, c in chunks:
            columns = chunks.columns(x[b, c])
            # zeros where a position lies across an edge, so that it adds nothing
            rows = np.zeros((columns.shape[0], columns.shape[2], 1), gy.dtype)
            chunks.images(rows)[...] = gy[b, c]
            gw[c] += np.matmul(columns, rows)
        return (gw.reshape((x.shape[1], 1) + tuple(self.ksize)).astype(self.dtype, copy=False),)

    def backward(self, indexes, grad_outputs):
        x, gy = self.get_retained_inputs()
        (ggw,) = grad_outputs
        gradients = []
        if 0 in indexes:
            gradients.append(_gradient_of_images(gy, ggw, self.pad))
        if 1 in indexes:
            gradients.append(DepthwiseConvolution(self.pad).apply((x, ggw))[0])
        return tuple(gradients)


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def depthwise_convolution(x, W, stride=1, pad=0):
    """Convolve each channel with a kernel of its own.

    The same as ``chainer.functions.convolution_2d(x, W, None, stride, pad, groups=C)``, which
    computes it on a GPU and where oneDNN is switched on. With NumPy alone this is several times
    faster, forward and backward. A stride is then computed as every stride-th pixel of the result
    without it.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C, H, W).
        W (:class:`~chainer.Variable` or :ref:`ndarray`): float (C, 1, KH, KW).
        stride (int or pair of ints): in pixels.
        pad (int or pair of ints): zeros around the images, less than the kernel's size.

    Returns:
        :class:`~chainer.Variable`: float (B, C, (H + 2 pad - KH) // stride + 1, ...), of the dtype
        of ``x``.

    Raises:
        ~chainer_zoo.errors.UserError: if ``pad`` is not less than the kernel's size.
    """
    x, W = chainer.as_variable(x), chainer.as_variable(W)
    stride, pad = _pair(stride), _pair(pad)
    if not all(0 <= p < k for p, k in zip(pad, W.shape[2:])):
        raise UserError(
            f'a depthwise convolution with kernels of {W.shape[2]} x {W.shape[3]} cannot have pad {pad}: give '
            'less than the kernel'
        )
    on_cpu = chainer.backend.get_array_module(x) is np
    if not on_cpu or (engines.CPU.is_enabled() and x.dtype == np.float32):
        return F.convolution_2d(x, W, None, stride, pad, groups=len(W))
    (y,) = DepthwiseConvolution(pad).apply((x, W))
    return y if stride == (1, 1) else y[:, :, :: stride[0], :: stride[1]]
