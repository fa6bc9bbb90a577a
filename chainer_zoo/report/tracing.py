"""Networks computed in shapes only: what each function gives, without its arithmetic."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any
from typing import Callable
from typing import NamedTuple

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

Shape = tuple[int, ...]


class Call(NamedTuple):
    """One call of a function.

    Attributes:
        label: Chainer's name of the function.
        arrays: its inputs.
        shape: the shape of its (first) result.
        nbytes: bytes of its results that are not views of its inputs.
        multiply_adds: those of a convolution or linear layer; 0 of anything else.
    """

    label: str
    arrays: tuple[np.ndarray, ...]
    shape: Shape
    nbytes: int
    multiply_adds: int


def _convolution(function: Any, x: np.ndarray, w: np.ndarray, *bias: np.ndarray) -> Shape:
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


def _pooling(function: Any, x: np.ndarray) -> Shape:
    return x.shape[:2] + tuple(
        get_conv_outsize(size, k, stride, pad, function.cover_all)
        for size, k, stride, pad in zip(
            x.shape[2:],
            (function.kh, function.kw),
            (function.sy, function.sx),
            (function.ph, function.pw),
        )
    )


# The result's shape, of the functions that take the time. All others are computed, from zeros.
_SHAPES: dict[type, Callable[..., Shape]] = {
    Convolution2DFunction: _convolution,
    DepthwiseConvolution: lambda function, x, w: function.out_shape(x.shape, w.shape),
    LinearFunction: lambda function, x, w, *bias: (x.shape[0], w.shape[0]),
    Pooling2D: _pooling,
    BatchNormalization: lambda function, x, *others: x.shape,
    ReLU: lambda function, x: x.shape,
}
_WITH_PRODUCTS = Convolution2DFunction, DepthwiseConvolution, LinearFunction


def _stand_in(shape: Shape, dtype: Any) -> np.ndarray:
    """Return an array without memory of its own: one zero, broadcast."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _values(array: np.ndarray) -> np.ndarray:
    """Return an array with memory of its own: zeros for a stand-in."""
    return array if any(array.strides) else np.zeros(array.shape, array.dtype)


class ShapesOnly(chainer.FunctionHook):
    """Inside this context, functions of this thread return arrays without values.

    They have the right shape and dtype, and cost next to nothing.

    Attributes:
        calls: the functions called, in order.
    """

    name = 'ShapesOnly'

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def forward_preprocess(self, function: Any, in_data: tuple[np.ndarray, ...]) -> None:
        function.forward = functools.partial(self._forward, function)

    def _forward(self, function: Any, in_data: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        kind = next((kind for kind in _SHAPES if isinstance(function, kind)), None)
        outputs: tuple[np.ndarray, ...]
        made: Sequence[np.ndarray]
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


def trace(model: chainer.Chain, shape: Shape) -> list[Call]:
    """Return the calls of one training pass with all noise off.

    A model's own loss is part of the pass, since it may have layers that only training has.

    Args:
        model: may be unfilled (:func:`chainer_zoo.initializers.unfilled`).
        shape: of the images, (B, 3, H, W).

    Returns:
        Every function that the model calls, in order.
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
