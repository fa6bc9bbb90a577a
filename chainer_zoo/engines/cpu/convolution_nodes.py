"""What stands in for Chainer's nodes of convolution; see :mod:`chainer_zoo.engines.seam`."""

import chainer
import chainer.functions as F
import numpy as np
from chainer import function_node
from chainer.functions.connection import convolution_2d

from chainer_zoo.engines import listeners
from chainer_zoo.engines.cpu import convolution
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.geometry import Geometry
from chainer_zoo.engines.seam import NOT_HERE
from chainer_zoo.engines.seam import Refused


def _window(node):
    """Return how a node's window moves, as Chainer's functions take it."""
    return {
        'stride': (node.sy, node.sx),
        'pad': (node.ph, node.pw),
        'dilate': (node.dy, node.dx),
        'groups': node.groups,
    }


def convolve(node, inputs):
    if not memory.is_plain(*inputs) or node.cudnn_fast:
        return NOT_HERE
    x, W = inputs[:2]
    b = inputs[2] if len(inputs) == 3 else None
    geometry = Geometry.of_convolution(node, x.shape, W.shape)
    node._check_input_layouts_all_standard()
    y = convolution.forward(x, W, b, geometry)
    node.retain_inputs((0, 1))
    return (y,)


def deconvolve(node, inputs):
    if not memory.is_plain(*inputs) or any(layout is not None for layout in node.input_layouts):
        return NOT_HERE
    x, W = inputs[:2]
    node._calc_out_size(x.shape, W.shape)
    y = convolution.backward_data(x, W, Geometry.of_deconvolution(node, x.shape, W.shape))
    node.retain_inputs((0, 1))
    if len(inputs) == 3:
        y += inputs[2].reshape(1, -1, 1, 1)
    return (y,)


def weights_gradient(node, inputs):
    if not memory.is_plain(*inputs) or node.W_dtype != np.float32 or node.w_layout is not None:
        return NOT_HERE
    x, gy = inputs
    geometry = Geometry.of_node(node, x.shape, node.W_shape, gy.shape)
    gW, _ = convolution.backward_weights(x, gy, geometry, False)
    node.retain_inputs((0, 1))
    return (gW,)


class WeightAndBiasGrad(function_node.FunctionNode):
    """The gradients of a convolution's weights and bias in one pass over its gradient.

    Args:
        node: the convolution.
        W: its weights, for their shape.
    """

    def __init__(self, node: convolution_2d.Convolution2DFunction, W: chainer.Variable):
        super().__init__()
        self.node = node
        self.W = W

    def forward_cpu(self, inputs):
        self.retain_inputs((0, 1))
        x, gy = inputs
        try:
            if memory.is_plain(x, gy):
                geometry = Geometry.of_node(self.node, x.shape, self.W.shape, gy.shape)
                grads = convolution.backward_weights(x, gy, geometry, True)
                listeners.note(self, True)
                return grads
        except Refused:
            pass
        listeners.note(self, False)
        weights_only = convolution_2d.Convolution2DGradW(
            self.node, self.W.shape, self.W.dtype, self.W.layout
        )
        (gW,) = weights_only.apply((x, gy))
        return gW.array, gy.sum(axis=(0, 2, 3))

    def backward(self, indexes, grad_outputs):
        x, gy = self.get_retained_inputs()
        ggW, ggb = grad_outputs
        gx = ggy = None
        if ggW is not None:
            window = _window(self.node)
            gx = F.deconvolution_2d(gy, ggW, outsize=x.shape[2:], **window)
            ggy = F.convolution_2d(x, ggW, cover_all=self.node.cover_all, **window)
        if ggb is not None:
            spread = F.broadcast_to(F.reshape(ggb, (1, -1, 1, 1)), gy.shape)
            ggy = spread if ggy is None else ggy + spread
        return gx, ggy


def backward(node, indexes, grad_outputs):
    x, W = node.get_retained_inputs()
    (gy,) = grad_outputs
    if 1 not in indexes or 2 not in indexes or not memory.is_plain(x.array, W.array, gy.array):
        return NOT_HERE
    grads = []
    if 0 in indexes:
        grads.append(F.deconvolution_2d(gy, W, outsize=x.shape[2:], **_window(node)))
    grads.extend(WeightAndBiasGrad(node, W).apply((x, gy)))
    return grads


def _depthwise_geometry(node, x_shape, w_shape, y_shape):
    return Geometry(x_shape, w_shape, y_shape, node.stride, node.pad, groups=w_shape[0])


def convolve_depthwise(node, inputs):
    if not memory.is_plain(*inputs):
        return NOT_HERE
    x, W = inputs
    geometry = _depthwise_geometry(node, x.shape, W.shape, node.out_shape(x.shape, W.shape))
    y = convolution.forward(x, W, None, geometry)
    node.retain_inputs((0, 1))
    return (y,)


def depthwise_input_gradient(node, inputs):
    if not memory.is_plain(*inputs):
        return NOT_HERE
    gy, W = inputs
    geometry = _depthwise_geometry(node, gy.shape[:2] + node.x_hw, W.shape, gy.shape)
    gx = convolution.backward_data(gy, W, geometry)
    node.retain_inputs((0, 1))
    return (gx,)


def depthwise_weights_gradient(node, inputs):
    if not memory.is_plain(*inputs) or node.dtype != np.float32:
        return NOT_HERE
    x, gy = inputs
    w_shape = (x.shape[1], 1, *node.ksize)
    gW, _ = convolution.backward_weights(
        x, gy, _depthwise_geometry(node, x.shape, w_shape, gy.shape), False
    )
    node.retain_inputs((0, 1))
    return (gW,)
