"""What describes a convolution, for both engines."""

from __future__ import annotations

from typing import NamedTuple

import chainer
import chainer.links as L
from chainer.functions.connection import convolution_2d
from chainer.functions.connection import deconvolution_2d
from chainer.utils import conv
from chainer.utils.conv_nd import as_tuple

Pair = tuple[int, int]
Shape = tuple[int, int, int, int]


class Geometry(NamedTuple):
    """The shapes of a convolution's arrays, and how its window moves.

    Pairs are (vertical, horizontal).

    Attributes:
        x_shape: (B, C, H, W), the input.
        w_shape: (O, C / groups, K_h, K_w), the weights.
        y_shape: (B, O, y_h, y_w), the result.
        stride: pixels from one window to the next.
        pad: zeros before the first pixel. After the last there are as many as ``y_shape`` needs.
        dilation: pixels from one element of the kernel to the next, 1 for a plain convolution.
        groups: into how many groups the channels are divided.
    """

    x_shape: Shape
    w_shape: Shape
    y_shape: Shape
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @classmethod
    def of_link(cls, link: L.Convolution2D, x_shape: Shape) -> Geometry:
        """Return the geometry of a link, whose weights are there, for an input of ``x_shape``.

        Where the input is smaller than the window, the result's height or width is 0 or less.
        """
        stride, pad, dilation = [
            as_tuple(value, 2) for value in (link.stride, link.pad, link.dilate)
        ]
        w_shape = link.W.shape
        y_hw = [
            conv.get_conv_outsize(n, k, s, p, d=d)
            for n, k, s, p, d in zip(x_shape[2:], w_shape[2:], stride, pad, dilation)
        ]
        y_shape = (x_shape[0], w_shape[0], *y_hw)
        return cls(x_shape, w_shape, y_shape, stride, pad, dilation, link.groups)

    @classmethod
    def of_convolution(
        cls, node: convolution_2d.Convolution2DFunction, x_shape: Shape, w_shape: Shape
    ) -> Geometry:
        """Return the geometry of Chainer's node, for arrays of these shapes.

        Raises:
            RuntimeError: the input is smaller than the window.
        """
        y_shape = (x_shape[0], w_shape[0], *node._get_out_size(x_shape, w_shape))
        return cls.of_node(node, x_shape, w_shape, y_shape)

    @classmethod
    def of_deconvolution(
        cls, node: deconvolution_2d.Deconvolution2DFunction, y_shape: Shape, w_shape: Shape
    ) -> Geometry:
        """Return the geometry of the convolution whose gradient Chainer's node computes.

        Args:
            node: knows the size of its result.
            y_shape: of its input, which is the convolution's gradient of y.
            w_shape: of its weights.
        """
        x_shape = (y_shape[0], w_shape[1] * node.groups, node.outh, node.outw)
        return cls.of_node(node, x_shape, w_shape, y_shape)

    @classmethod
    def of_node(
        cls,
        node: chainer.FunctionNode,
        x_shape: Shape,
        w_shape: Shape,
        y_shape: Shape,
    ) -> Geometry:
        """Return the geometry of a node of Chainer's that says how its window moves."""
        # NumPy's integers, which a node and shapes may hold, are none to ctypes.
        pairs = (node.sy, node.sx), (node.ph, node.pw), (node.dy, node.dx)
        return cls(
            *[tuple([int(n) for n in values]) for values in (x_shape, w_shape, y_shape, *pairs)],
            int(node.groups),
        )

    def of_input_gradient(self) -> Geometry:
        """Return the convolution that computes the gradient of the input.

        It convolves the gradient of the result with the kernels turned by 180 degrees. There is
        one where the stride is 1 and the channels are not divided into groups.
        """
        o, c, *kernel = self.w_shape
        pad = tuple([d * (k - 1) - p for k, p, d in zip(kernel, self.pad, self.dilation)])
        return Geometry(
            self.y_shape, (c, o, *kernel), self.x_shape, self.stride, pad, self.dilation
        )
