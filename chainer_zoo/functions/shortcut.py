"""Shortcuts that skip pixels and append zero channels, without an array of zeros."""

from __future__ import annotations

import chainer
import numpy as np
from chainer import function_node
from chainer import Variable
from chainer.backends import cuda
from chainer.utils import type_check

from chainer_zoo.errors import UserError
from chainer_zoo.functions import _array

# The place of element i of the result (B, C, H, W).
_PLACE = """
I rest = static_cast<I>(i);
const I column = rest % width;
rest /= width;
const I row = rest % height;
rest /= height;
const I channel = rest % channels;
const I image = rest / channels;
"""


def strided(x, stride):
    """Return every ``stride``-th pixel of (B, C, H, W) as a view."""
    return x if stride == 1 else x[:, :, ::stride, ::stride]


def strided_size(size: int, stride: int) -> int:
    """Return how many of ``size`` pixels :func:`strided` takes."""
    return -(-size // stride)


def element_kernel(ins, out, operation, name, arrays, preamble=''):
    """Return the kernel that computes element (image, channel, row, column) of its result.

    Args:
        ins (str): its arguments, which the result's channels, height and width follow.
        out (str): its result.
        operation (str): CUDA that sets the result, and may use ``I``, a type for indices.
        name (str): the kernel's name.
        arrays (sequence of :ref:`ndarray`): those that it indexes, to choose ``I``.
        preamble (str): CUDA put before the kernel.
    """
    index = _array.index_type(*arrays)
    c_type = {'int32': 'int', 'int64': 'long long'}[index]
    return cuda.elementwise(
        ins.replace('index ', index + ' ') + f', {index} channels, {index} height, {index} width',
        out,
        f'typedef {c_type} I;' + _PLACE + operation,
        name,
        preamble=preamble,
    )


class Shortcut(function_node.FunctionNode):
    """Every ``stride``-th pixel, then zero channels up to ``channels``.

    Args:
        channels (int): of the result; at least those of the input.
        stride (int): in both directions.
    """

    def __init__(self, channels, stride=1):
        super().__init__()
        self.channels = channels
        self.stride = stride

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x',))
        (x,) = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim == 4, x.shape[1] <= self.channels)

    def _empty(self, x):
        height, width = (strided_size(size, self.stride) for size in x.shape[2:])
        return _array.empty(x, (x.shape[0], self.channels, height, width))

    def forward_cpu(self, inputs):
        (x,) = inputs
        y = self._empty(x)
        y[:, : x.shape[1]] = strided(x, self.stride)
        y[:, x.shape[1] :] = 0
        return (y,)

    def forward_gpu(self, inputs):
        (x,) = inputs
        y = self._empty(x)
        element_kernel(
            'raw T x, index channels_x, index stride',
            'T y',
            """
            T value = T(0);
            if (channel < channels_x) {
                const ptrdiff_t at[] = {image, channel, row * stride, column * stride};
                value = x[at];
            }
            y = value;
            """,
            'shortcut_fwd',
            (x, y),
        )(x, x.shape[1], self.stride, *y.shape[1:] + (y,))
        return (y,)

    def backward(self, indexes, grad_outputs):
        return (shortcut_grad(grad_outputs[0], self.inputs[0].shape, self.stride),)


class ShortcutGrad(function_node.FunctionNode):
    """Puts the gradient of every ``stride``-th pixel back, and zeros between.

    Args:
        in_shape (tuple of int): (B, C_x, H_x, W_x), the shape of the shortcut's input.
        stride (int): in both directions.
    """

    def __init__(self, in_shape, stride):
        super().__init__()
        self.in_shape = in_shape
        self.stride = stride

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('gy',))
        (gy,) = in_types
        type_check.expect(gy.dtype.kind == 'f', gy.ndim == 4, gy.shape[1] >= self.in_shape[1])

    def forward_cpu(self, inputs):
        (gy,) = inputs
        gx = _array.empty(gy, self.in_shape)
        gx[...] = 0
        strided(gx, self.stride)[...] = gy[:, : self.in_shape[1]]
        return (gx,)

    def forward_gpu(self, inputs):
        (gy,) = inputs
        gx = _array.empty(gy, self.in_shape)
        element_kernel(
            'raw T gy, index stride',
            'T gx',
            """
            T value = T(0);
            if (row % stride == 0 && column % stride == 0) {
                const ptrdiff_t at[] = {image, channel, row / stride, column / stride};
                value = gy[at];
            }
            gx = value;
            """,
            'shortcut_bwd',
            (gy, gx),
        )(gy, self.stride, *gx.shape[1:] + (gx,))
        return (gx,)

    def backward(self, indexes, grad_outputs):
        return Shortcut(self.inputs[0].shape[1], self.stride).apply(grad_outputs)


class ResidualAdd(function_node.FunctionNode):
    """scale * h from channel ``offset`` on, plus every ``stride``-th pixel of x, in one pass.

    Args:
        stride (int): of x, in both directions.
        scale (float): factor of h.
        offset (int): the channel of the result where h begins.
    """

    def __init__(self, stride=1, scale=1.0, offset=0):
        super().__init__()
        self.stride = stride
        self.scale = scale
        self.offset = offset

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('h', 'x'))
        check_branch(*in_types + (self.stride,))

    def _empty(self, h, x):
        channels = max(h.shape[1] + self.offset, x.shape[1])
        return _array.empty(h, (h.shape[0], channels) + h.shape[2:])

    def forward_cpu(self, inputs):
        h, x = inputs
        y = self._empty(h, x)
        add_scaled(y, h, strided(x, self.stride), self.scale, self.offset)
        return (y,)

    def forward_gpu(self, inputs):
        h, x = inputs
        y = self._empty(h, x)
        element_kernel(
            'raw T h, raw T x, float64 scale, index offset, index channels_h, index channels_x, '
            'index stride',
            'T y',
            """
            typedef computed<T>::type C;
            C value = C(0);
            const bool branch = offset <= channel && channel < offset + channels_h;
            if (branch) {
                const ptrdiff_t at[] = {image, channel - offset, row, column};
                value = times(static_cast<C>(h[at]), static_cast<C>(scale));
            }
            if (channel < channels_x) {
                const ptrdiff_t at[] = {image, channel, row * stride, column * stride};
                const C skip = static_cast<C>(x[at]);
                value = branch ? plus(value, skip) : skip;
            }
            y = static_cast<T>(value);
            """,
            'residual_add_fwd',
            (h, x, y),
            _array.CUDA_SOURCE,
        )(h, x, self.scale, self.offset, h.shape[1], x.shape[1], self.stride, *y.shape[1:] + (y,))
        return (y,)

    def backward(self, indexes, grad_outputs):
        (gy,) = grad_outputs
        h, x = self.inputs
        grads = []
        if 0 in indexes:
            gh = channel_slice(gy, self.offset, self.offset + h.shape[1])
            grads.append(gh if self.scale == 1 else gh * self.scale)
        if 1 in indexes:
            grads.append(shortcut_grad(gy, x.shape, self.stride))
        return grads


def check_branch(h, x, stride):
    """Check the types of a branch h and a shortcut's input x against each other."""
    type_check.expect(
        h.dtype.kind == 'f', h.ndim == 4, x.dtype == h.dtype, x.ndim == 4, x.shape[0] == h.shape[0]
    )
    for axis in (2, 3):
        type_check.expect((x.shape[axis] + (stride - 1)) // stride == h.shape[axis])


def add_scaled(y, h, x, scale, offset):
    """Set NumPy array y to scale * h from channel ``offset`` on, plus x.

    Args:
        y (numpy.ndarray): float (B, C, H, W), as many channels as h and x reach. Overwritten.
        h (numpy.ndarray): float (B, C_h, H, W).
        x (numpy.ndarray): float (B, C_x, H, W).
        scale (float or numpy.ndarray): factor of h, a number or (B, C_h, 1, 1).
        offset (int): the channel of y where h begins.
    """
    end = offset + h.shape[1]
    dtype = _array.computing_dtype(h.dtype)
    shared = max(offset, min(x.shape[1], end))  # channels offset to shared have both terms
    y[:, : min(offset, x.shape[1])] = x[:, :offset]
    y[:, x.shape[1] : offset] = 0
    y[:, end:] = x[:, end:]
    if np.isscalar(scale) and scale == 1:
        np.add(h[:, : shared - offset], x[:, offset:shared], out=y[:, offset:shared])
        y[:, shared:end] = h[:, shared - offset :]
        return
    # In place, unless the product needs more digits than y has.
    branch = y[:, offset:end] if y.dtype == dtype else np.empty_like(h, dtype)
    np.multiply(h, np.asarray(scale, dtype), out=branch, dtype=dtype)
    branch[:, : shared - offset] += x[:, offset:shared]
    if branch.dtype != y.dtype:
        y[:, offset:end] = branch


def channel_slice(x: Variable, start: int, stop: int) -> Variable:
    """Return channels ``start`` to ``stop - 1`` of a Variable, itself where these are all."""
    return x if (start, stop) == (0, x.shape[1]) else x[:, start:stop]


def shortcut_grad(gy: Variable, in_shape: tuple[int, ...], stride: int) -> Variable:
    """Return the gradient for a shortcut's input of shape ``in_shape``; a view for stride 1."""
    if stride == 1:
        return channel_slice(gy, 0, in_shape[1])
    (gx,) = ShortcutGrad(in_shape, stride).apply((gy,))
    return gx


def check_stride(stride: int) -> None:
    """Raise :class:`~chainer_zoo.errors.UserError` unless ``stride`` is a whole number from 1."""
    if stride < 1 or stride != int(stride):
        raise UserError(f'the stride is {stride}: give a whole number from 1')


def shortcut(x: Variable, channels: int, stride: int = 1) -> Variable:
    """Take every ``stride``-th pixel, then append zero channels.

    The pixels are those of an average pooling of size 1 (He et al., 2015, option A).

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C_x, H_x, W_x).
        channels (int): the channels to reach; with fewer than C_x, none is appended.
        stride (int): in both directions.

    Returns:
        :class:`~chainer.Variable`: float (B, max(C_x, channels), H, W), H = ceil(H_x / stride).

    Raises:
        ~chainer_zoo.errors.UserError: if the stride is less than 1.
    """
    check_stride(stride)
    channels = max(channels, x.shape[1])
    if stride == 1 and channels == x.shape[1]:
        return chainer.as_variable(x)
    (y,) = Shortcut(channels, stride).apply((x,))
    return y


def residual_add(
    h: Variable, x: Variable, stride: int = 1, scale: float = 1.0, offset: int = 0
) -> Variable:
    """Add a residual branch to its shortcut in one pass: scale * h + shortcut(x).

    Channels that only one of them has are taken from that one. No array of zeros is made.
    float16 is computed in float32.

    Args:
        h (:class:`~chainer.Variable` or :ref:`ndarray`): the branch, float (B, C_h, H, W).
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C_x, H_x, W_x) of the same
            dtype, ceil(H_x / stride) = H and ceil(W_x / stride) = W.
        stride (int): the shortcut takes every ``stride``-th pixel.
        scale (float): factor of ``h``.
        offset (int): the channel of the result where ``h`` begins.

    Returns:
        :class:`~chainer.Variable`: float (B, max(C_h + offset, C_x), H, W), in the memory layout
        of ``h``.

    Raises:
        ~chainer_zoo.errors.UserError: if the stride is less than 1 or the offset less than 0.
    """
    check_stride(stride)
    if offset < 0:
        raise UserError(f'the channel offset is {offset}: give a whole number from 0')
    (y,) = ResidualAdd(stride, scale, offset).apply((h, x))
    return y
