"""What stands in for Chainer's nodes of convolution; see :mod:`chainer_zoo.engines.seam`."""

import chainer
import numpy as np
from chainer import function_node
from chainer.functions.connection import convolution_2d

from chainer_zoo.engines import listeners
from chainer_zoo.engines.cpu import convolution
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.seam import NOT_HERE
from chainer_zoo.engines.seam import Refused


def _geometry(node):
    """Return the stride, padding, dilation and groups of a convolution node."""
    return (node.sy, node.sx), (node.ph, node.pw), (node.dy, node.dx), node.groups


def convolve(node, inputs):
    if not memory.is_plain(*inputs) or node.cudnn_fast:
        return NOT_HERE
    x, W = inputs[:2]
    b = inputs[2] if len(inputs) == 3 else None
    y_hw = node._get_out_size(x.shape, W.shape)
    node._check_input_layouts_all_standard()
    y = convolution.forward(x, W, b, y_hw, *_geometry(node))
    node.retain_inputs((0, 1))
    return (y,)


def deconvolve(node, inputs):
    if not memory.is_plain(*inputs) or any(layout is not None for layout in node.input_layouts):
        return NOT_HERE
    x, W = inputs[:2]
    node._calc_out_size(x.shape, W.shape)
    y = convolution.backward_data(x, W, (node.outh, node.outw), *_geometry(node))
    node.retain_inputs((0, 1))
    if len(inputs) == 3:
        y += inputs[2].reshape(1, -1, 1, 1)
    return (y,)


def weights_gradient(node, inputs):
    if not memory.is_plain(*inputs) or node.W_dtype != np.float32 or node.w_layout is not None:
        return NOT_HERE
    x, gy = inputs
    gW, _ = convolution.backward_weights(x, gy, node.W_shape, False, *_geometry(node))
    node.retain_inputs((0, 1))
    return (gW,)


class WeightAndBiasGrad(function_node.FunctionNode):
    """The gradients of a convolution's weights and bias in one pass over its gradient.

    Args:
        node (chainer.functions.connection.convolution_2d.Convolution2DFunction): the convolution.
        W (chainer.Variable): its weights, for their shape.
    """

    def __init__(self, node, W):
        super().__init__()
        self.node = node
        self.W = W

    def _weights_only(self):
        return convolution_2d.Convolution2DGradW(
            self.node, self.W.shape, self.W.dtype, self.W.layout
        )

    def forward_cpu(self, inputs):
        self.retain_inputs((0, 1))
        x, gy = inputs
        try:
            if memory.is_plain(x, gy):
                grads = convolution.backward_weights(
                    x, gy, self.W.shape, True, *_geometry(self.node)
                )
                listeners.note(self, True)
                return grads
        except Refused:
            pass
        listeners.note(self, False)
        (gW,) = self._weights_only().apply((x, gy))
        return gW.array, gy.sum(axis=(0, 2, 3))

    def backward(self, indexes, grad_outputs):
        x, gy = self.get_retained_inputs()
        ggW, ggb = grad_outputs
        gx = ggy = None
        if ggW is not None:
            stride, pad, dilate, groups = _geometry(self.node)
            gx = chainer.functions.deconvolution_2d(
                gy, ggW, stride=stride, pad=pad, outsize=x.shape[2:], dilate=dilate, groups=groups
            )
            ggy = chainer.functions.convolution_2d(
                x,
                ggW,
                stride=stride,
                pad=pad,
                cover_all=self.node.cover_all,
                dilate=dilate,
                groups=groups,
            )
        if ggb is not None:
            spread = chainer.functions.broadcast_to(
                chainer.functions.reshape(ggb, (1, -1, 1, 1)), gy.shape
            )
            ggy = spread if ggy is None else ggy + spread
        return gx, ggy


def backward(node, indexes, grad_outputs):
    x, W = node.get_retained_inputs()
    (gy,) = grad_outputs
    if 1 not in indexes or 2 not in indexes or not memory.is_plain(x.array, W.array, gy.array):
        return NOT_HERE
    grads = []
    if 0 in indexes:
        stride, pad, dilate, groups = _geometry(node)
        grads.append(
            chainer.functions.deconvolution_2d(
                gy, W, stride=stride, pad=pad, outsize=x.shape[2:], dilate=dilate, groups=groups
            )
        )
    grads.extend(WeightAndBiasGrad(node, W).apply((x, gy)))
    return grads
