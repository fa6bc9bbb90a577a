"""What stands in for Chainer's function nodes on a CPU; see :mod:`chainer_zoo.engines.seam`.

:data:`REPLACED` lists every method with its stand-in. Two nodes differ. Batch normalization chooses
its implementation by a selector of its own, and gets another one here. And the ``backward`` of
convolution asks for the gradients of weights and bias apart; here one node computes both.
"""

import chainer
import numpy as np
from chainer.functions.activation import prelu
from chainer.functions.activation import relu
from chainer.functions.array import concat
from chainer.functions.array import split_axis
from chainer.functions.connection import convolution_2d
from chainer.functions.connection import deconvolution_2d
from chainer.functions.connection import linear
from chainer.functions.math import basic_math
from chainer.functions.normalization import batch_normalization
from chainer.functions.pooling import average_pooling_2d
from chainer.functions.pooling import max_pooling_nd
from chainer.utils import conv
from chainer.utils import conv_nd

from chainer_zoo.engines.cpu import convolution_nodes
from chainer_zoo.engines.cpu import elementwise
from chainer_zoo.engines.cpu import joining
from chainer_zoo.engines.cpu import matmul
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import normalization
from chainer_zoo.engines.cpu import pooling
from chainer_zoo.engines.seam import CHOSEN
from chainer_zoo.engines.seam import NOT_HERE
from chainer_zoo.functions.depthwise_convolution import DepthwiseConvolution
from chainer_zoo.functions.depthwise_convolution import DepthwiseConvolutionGradW
from chainer_zoo.functions.depthwise_convolution import DepthwiseConvolutionGradX
from chainer_zoo.functions.shortcut import ResidualAdd
from chainer_zoo.functions.shortcut import ShortcutGrad

_SMALL = 1 << 14  # elements; below, NumPy's own sum is as fast


class BatchNormalizationImpl(batch_normalization._BatchNormalizationImpl):
    """What Chainer's batch normalization node runs instead of NumPy."""

    def forward(
        self, axis, gamma, x, x_layout, xp, expander, beta, eps, decay, running_mean, running_var
    ):
        y, mean, var = normalization.forward(x, gamma, beta, eps, False)
        normalization.update_statistics(
            x.size // mean.size, mean, var, decay, running_mean, running_var
        )
        inv_std = np.reciprocal(np.sqrt(var + np.float32(eps)))
        return y, None, running_mean, running_var, mean, var, inv_std, var

    def backward(
        self, axis, gamma, gy, x, x_layout, xp, expander, mean, inv_std, eps, var, forward_data
    ):
        if not memory.is_plain(x, gy, gamma):
            return batch_normalization.GeneralBatchNormalizationImpl().backward(
                axis, gamma, gy, x, x_layout, xp, expander, mean, inv_std, eps, var, None
            )
        gx, ggamma, gbeta = normalization.backward(
            x, gamma, None, mean, forward_data, gy, eps, False
        )
        return gx, None, ggamma, gbeta


def _can_normalize(node, x, *parameters):
    return (
        node.input_layouts[0] is None
        and memory.is_plain(x)
        and normalization.can_normalize(x.shape, node.axis, *parameters)
    )


def _normalize(node, inputs):
    if not _can_normalize(node, *inputs):
        return NOT_HERE
    node._impl_selector = lambda node, inputs: BatchNormalizationImpl()
    return CHOSEN


def _normalize_fixed(node, inputs):
    if not _can_normalize(node, *inputs):
        return NOT_HERE
    x, gamma, beta, mean, var = inputs
    node.retain_inputs((0, 1, 3, 4))
    node.axis = (0,) + tuple(range(2, x.ndim))
    node.expander = (None, slice(None)) + (None,) * (x.ndim - 2)
    node.inv_var = node.inv_std = None  # the gradient computes them if it is asked for
    return (normalization.fixed(x, gamma, beta, mean, var, node.eps, False),)


def _relu(node, inputs):
    if not memory.is_plain(*inputs):
        return NOT_HERE
    node.retain_outputs((0,))
    return (elementwise.relu(inputs[0]),)


def _relu_gradient(node, inputs):
    if not memory.is_plain(node.b, *inputs):
        return NOT_HERE
    return (elementwise.relu_gradient(node.b, inputs[0]),)


def _prelu(node, inputs):
    x, W = inputs
    if not elementwise.can_prelu(x, W):
        return NOT_HERE
    node.retain_inputs((0, 1))
    return (elementwise.prelu(x, W),)


def _prelu_gradient(node, inputs):
    x, W, gy = inputs
    is_first_gradient = node.reduce_axes is not None and node.cond is x
    if not is_first_gradient or not elementwise.can_prelu(x, W) or not memory.is_plain(gy):
        return NOT_HERE
    node.retain_inputs((0, 1, 2))
    return elementwise.prelu_gradient(x, W, gy)


def _pool_max(node, inputs):
    (x,) = inputs
    if node.ndim != 2 or node.return_indices or not memory.is_plain(x):
        return NOT_HERE
    window = pooling.Window(node.ksize, node.stride, node.pad)
    y_hw = _max_out_hw(node, x.shape)
    if not pooling.can_pool(x.shape, y_hw, window) or not elementwise.is_finite(x):
        return NOT_HERE
    y, node.engine_workspace = pooling.max_forward(x, y_hw, window, chainer.config.enable_backprop)
    node._in_shape, node._in_dtype = x.shape, x.dtype
    return (y,)


def _max_out_hw(node, x_shape):
    return tuple(
        conv_nd.get_conv_outsize(n, k, s, p, node.cover_all)
        for n, k, s, p in zip(x_shape[2:], node.ksize, node.stride, node.pad)
    )


def _pool_max_gradient(node, inputs):
    (gy,) = inputs
    func = node.func
    workspace = getattr(func, 'engine_workspace', None)
    if workspace is None:
        return NOT_HERE
    if not memory.is_plain(gy):
        _restore_indexes(func)
        return NOT_HERE
    window = pooling.Window(func.ksize, func.stride, func.pad)
    return (pooling.max_backward(gy, workspace, func._in_shape, window),)


def _pool_with_indexes(node, inputs):
    if getattr(node.func, 'engine_workspace', None) is not None:
        _restore_indexes(node.func)
    return NOT_HERE  # gathering at the indexes is NumPy's


def _restore_indexes(func):
    """Give a max pooling node the indexes that Chainer's own code would have stored."""
    if not hasattr(func, 'indexes'):
        y_shape = func._in_shape[:2] + _max_out_hw(func, func._in_shape)
        func.indexes = pooling.max_indexes(func.engine_workspace, y_shape)


def _average_window(node):
    return pooling.Window((node.kh, node.kw), (node.sy, node.sx), (node.ph, node.pw))


def _pool_average(node, inputs):
    (x,) = inputs
    if not memory.is_plain(x):
        return NOT_HERE
    window = _average_window(node)
    y_hw = tuple(conv.get_conv_outsize(n, k, s, p) for n, k, s, p in zip(x.shape[2:], *window))
    if not pooling.can_pool(x.shape, y_hw, window):
        return NOT_HERE
    node._in_shape, node._in_dtype = x.shape, x.dtype
    return (pooling.average_forward(x, y_hw, window),)


def _pool_average_gradient(node, inputs):
    (gy,) = inputs
    window = _average_window(node)
    if (
        node._used_cudnn
        or not memory.is_plain(gy)
        or not pooling.can_pool(node._in_shape, gy.shape[2:], window)
    ):
        return NOT_HERE
    return (pooling.average_backward(gy, node._in_shape, window),)


def _concat(node, inputs):
    if inputs[0].ndim != 4 or node.axis % 4 != 1 or len(inputs) < 2 or not memory.is_plain(*inputs):
        return NOT_HERE
    return (joining.concat(inputs),)


def _split(node, inputs):
    (x,) = inputs
    if x.ndim != 4 or node.axis % 4 != 1 or not memory.is_plain(x):
        return NOT_HERE
    channels = x.shape[1]
    if node.indices is not None:
        bounds = [0] + [int(i) for i in node.indices] + [channels]
    else:
        bounds = list(range(0, channels + 1, channels // node.sections))
    if any(a > b for a, b in zip(bounds[:-1], bounds[1:])):
        return NOT_HERE
    node._xp = np
    pieces = joining.split(x, bounds)
    node._shapes = [piece.shape for piece in pieces]
    return pieces


def _add(node, inputs):
    if (
        len(inputs) < 2
        or not memory.is_plain(*inputs)
        or inputs[0].size < _SMALL
        or any(x.shape != inputs[0].shape for x in inputs)
    ):
        return NOT_HERE
    node.len = len(inputs)
    return (elementwise.add(inputs),)


def _residual_add(node, inputs):
    h, x = inputs
    if node.scale != 1 or node.offset or not memory.is_plain(h, x):
        return NOT_HERE
    if node.stride == 1 and h.shape == x.shape:
        return _add(node, inputs)
    if h.shape[1] < x.shape[1] or not joining.can_pick(x.shape, node.stride):
        return NOT_HERE
    return (joining.residual_add(h, x, node.stride),)


def _shortcut_gradient(node, inputs):
    (gy,) = inputs
    if not memory.is_plain(gy) or not joining.can_pick(node.in_shape, node.stride):
        return NOT_HERE
    return (joining.shortcut_gradient(gy, node.in_shape, node.stride),)


def _linear(node, inputs):
    if not memory.is_plain(*inputs):
        return NOT_HERE
    x, W = inputs[:2]
    node._config_use_ideep = chainer.config.use_ideep
    node.retain_inputs((0, 1))
    return (matmul.product(x, W.T, inputs[2] if len(inputs) == 3 else None),)


def _linear_data(node, inputs):
    if not memory.is_plain(*inputs):
        return NOT_HERE
    W, gy = inputs
    node._config_use_ideep = chainer.config.use_ideep
    node.retain_inputs((0, 1))
    return (matmul.product(gy, W),)


def _linear_weights(node, inputs):
    if not memory.is_plain(*inputs) or node._w_dtype != np.float32:
        return NOT_HERE
    x, gy = inputs
    node._config_use_ideep = chainer.config.use_ideep
    node.retain_inputs((0, 1))
    return (matmul.product(gy.T, x),)


REPLACED = (
    (convolution_2d.Convolution2DFunction, 'forward_cpu', convolution_nodes.convolve),
    (convolution_2d.Convolution2DFunction, 'backward', convolution_nodes.backward),
    (convolution_2d.Convolution2DGradW, 'forward_cpu', convolution_nodes.weights_gradient),
    (deconvolution_2d.Deconvolution2DFunction, 'forward_cpu', convolution_nodes.deconvolve),
    (DepthwiseConvolution, 'forward_cpu', convolution_nodes.convolve_depthwise),
    (DepthwiseConvolutionGradX, 'forward_cpu', convolution_nodes.depthwise_input_gradient),
    (DepthwiseConvolutionGradW, 'forward_cpu', convolution_nodes.depthwise_weights_gradient),
    (batch_normalization.BatchNormalization, 'forward', _normalize),
    (batch_normalization.FixedBatchNormalization, 'forward', _normalize_fixed),
    (relu.ReLU, 'forward_cpu', _relu),
    (relu.ReLUGrad2, 'forward_cpu', _relu_gradient),
    (prelu.PReLUFunction, 'forward_cpu', _prelu),
    (prelu.PReLUFunctionGrad, 'forward_cpu', _prelu_gradient),
    (max_pooling_nd.MaxPoolingND, 'forward_cpu', _pool_max),
    (max_pooling_nd.MaxPoolingNDGrad, 'forward_cpu', _pool_max_gradient),
    (max_pooling_nd.MaxPoolingNDWithIndexes, 'forward_cpu', _pool_with_indexes),
    (average_pooling_2d.AveragePooling2D, 'forward_cpu', _pool_average),
    (average_pooling_2d.AveragePooling2DGrad, 'forward_cpu', _pool_average_gradient),
    (concat.Concat, 'forward', _concat),
    (split_axis.SplitAxis, 'forward', _split),
    (basic_math.Add, 'forward', _add),
    (basic_math.MultiAdd, 'forward', _add),
    (ResidualAdd, 'forward_cpu', _residual_add),
    (ShortcutGrad, 'forward_cpu', _shortcut_gradient),
    (linear.LinearFunction, 'forward', _linear),
    (linear.LinearGradData, 'forward', _linear_data),
    (linear.LinearGradWeight, 'forward', _linear_weights),
)
