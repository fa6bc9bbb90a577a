"""Networks computed in shapes only: what each function gives, without its arithmetic."""

import collections
import functools

import chainer
import numpy as np
from chainer.functions.activation.relu import ReLU
from chainer.functions.connection.convolution_2d import Convolution2DFunction
from chainer.functions.connection.linear import LinearFunction
from chainer.functions.normalization.batch_normalization import BatchNormalization
from chainer.functions.pooling.pooling_2d import Pooling2D
from chainer.utils.conv import get_conv_outsize

from chainer_zoo import engines
from chainer_zoo.functions.depthwise_convolution import DepthwiseConvolution
from chainer_zoo.functions.noise import no_noise

Call = collections.namedtuple('Call', 'label arrays shape nbytes multiply_adds')
Call.__doc__ = """One call of a function.

``label`` is Chainer's name of the function, ``arrays`` what it took, ``shape`` that of its (first)
result, ``nbytes`` the bytes of its results that are not views of what it took, ``multiply_adds``
those of a convolution or linear layer, 0 of anything else."""


def _convolution(function, x, w, *bias):
    height, width = (
        get_conv_outsize(size, k, stride, pad, function.cover_all, dilate)
        for size, k, stride, pad, dilate in zip(
            x.shape[2:],
            w.shape[2:],
            (function.sy, function.sx),
            (function.ph, function.pw),
            (function.dy, function.dx),
        )
    )
    return x.shape[0], w.shape[0], height, width


def _pooling(function, x):
    return x.shape[:2] + tuple(
        get_conv_outsize(size, k, stride, pad, function.cover_all)
        for size, k, stride, pad in zip(
            x.shape[2:],
            (function.kh, function.kw),
            (function.sy, function.sx),
            (function.ph, function.pw),
        )
    )


# The result's shape of the functions that take the time. All others are really computed, of zeros.
_SHAPES = {
    Convolution2DFunction: _convolution,
    DepthwiseConvolution: lambda function, x, w: function.out_shape(x.shape, w.shape),
    LinearFunction: lambda function, x, w, *bias: (x.shape[0], w.shape[0]),
    Pooling2D: _pooling,
    BatchNormalization: lambda function, x, *others: x.shape,
    ReLU: lambda function, x: x.shape,
}
_WITH_PRODUCTS = Convolution2DFunction, DepthwiseConvolution, LinearFunction


def _stand_in(shape, dtype):
    """Return an array without memory of its own: one zero, broadcast."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _values(array):
    """Return what can be computed with: zeros for a stand-in."""
    return array if any(array.strides) else np.zeros(array.shape, array.dtype)


class ShapesOnly(chainer.FunctionHook):
    """Inside this context, functions of this thread return arrays without values.

    They have the right shape and dtype, and cost next to nothing.

    Attributes:
        calls (list of Call): the functions called, in order.
    """

    name = 'ShapesOnly'

    def __init__(self):
        self.calls = []

    def forward_preprocess(self, function, in_data):
        function.forward = functools.partial(self._forward, function)

    def _forward(self, function, in_data):
        kind = next((kind for kind in _SHAPES if isinstance(function, kind)), None)
        if kind is not None:
            outputs = (_stand_in(_SHAPES[kind](function, *in_data), in_data[0].dtype),)
            made = outputs
        else:
            values = tuple(_values(array) for array in in_data)
            with np.errstate(all='ignore'):  # parameters may be unfilled memory
                results = type(function).forward(function, values)
            outputs = tuple(_stand_in(y.shape, y.dtype) for y in results)
            made = [y for y in results if not any(np.may_share_memory(y, x) for x in values)]
        products = 0
        if kind in _WITH_PRODUCTS:
            products = outputs[0].size * int(np.prod(in_data[1].shape[1:]))
        self.calls.append(
            Call(
                function.label,
                in_data,
                outputs[0].shape,
                sum(y.size * y.dtype.itemsize for y in made),
                products,
            )
        )
        return outputs


def trace(model, shape):
    """Return the calls of one training pass with all noise off.

    A model's own loss is part of the pass, since it may have layers that only training has.

    Args:
        model (chainer.Chain): may be unfilled (:func:`chainer_zoo.initializers.unfilled`).
        shape (tuple of ints): of the images, (B, 3, H, W).

    Returns:
        list of Call: every function that the model calls, in order.
    """
    with (
        ShapesOnly() as hook,
        engines.CPU.using(False),  # its stand-ins for functions would really compute
        no_noise(),
        chainer.no_backprop_mode(),
        chainer.using_config('train', True),
    ):
        x = _stand_in(shape, np.float32)
        if hasattr(model, 'loss'):
            model.loss(x, np.zeros(shape[0], np.int32))
        else:
            model(x)
    return hook.calls
