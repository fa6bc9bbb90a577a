"""Convolutions by oneDNN's own code: forward, and the gradients of input, weights and bias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import numpy as np

from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.cpu import weights
from chainer_zoo.engines.cpu.convolution.epilogue import RELU
from chainer_zoo.engines.cpu.convolution.epilogue import Step
from chainer_zoo.engines.geometry import Geometry
from chainer_zoo.engines.seam import Refused

Weights = Union[np.ndarray, weights.Derived]

_ADDEND = 'addend'  # stands for any array of an epilogue in the key of a primitive


class Direct:
    """The primitives of one convolution, each built when it is first needed.

    Every method raises :class:`~chainer_zoo.engines.seam.Refused` where oneDNN has no fast code.
    """

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        x_shape, w_shape, y_shape, stride, pad, dilation, groups = geometry
        # What the window needs after the last pixel; nothing where it leaves pixels unused.
        pad_after = [
            max((y - 1) * s + (k - 1) * d + 1 - x - p, 0)
            for x, k, y, s, p, d in zip(
                x_shape[2:], w_shape[2:], y_shape[2:], stride, pad, dilation
            )
        ]
        layout_shape = w_shape
        if groups > 1:
            layout_shape = (groups, w_shape[0] // groups) + w_shape[1:]
        self._x = primitive.channels_last(x_shape)
        self._y = primitive.channels_last(y_shape)
        self._w = primitive.any_layout(layout_shape)
        self._w_contiguous = primitive.contiguous(layout_shape)
        self._b = primitive.contiguous((y_shape[1],))
        # oneDNN counts the pixels between the elements of a kernel, 0 for a plain convolution.
        self._window = tuple(
            primitive.dims(values) for values in (stride, [d - 1 for d in dilation], pad, pad_after)
        )
        self._primitives = {}

    def can_compute(self, with_bias: bool) -> bool:
        """Return whether forward and both gradients have fast code."""
        try:
            self._forward_primitive(with_bias)
            self._data_primitive()
            self._weights_primitive(with_bias)
        except Refused:
            return False
        return True

    def weights_implementation(self, with_bias: bool) -> str:
        """Return what oneDNN calls its code for the gradient of the weights."""
        return self._weights_primitive(with_bias).implementation

    def forward(
        self, x: np.ndarray, W: Weights, b: np.ndarray | None, epilogue: Sequence[Step]
    ) -> np.ndarray:
        """Convolve; arrays are channels last, or C-ordered for weights and bias."""
        kinds = tuple([RELU if step is RELU else _ADDEND for step in epilogue])
        with_bias = W.has_bias if isinstance(W, weights.Derived) else b is not None
        convolve = self._forward_primitive(with_bias, kinds)
        y = memory.empty_channels_last(self.geometry.y_shape)
        W, derived_b = self._ordered_weights(('weights', with_bias, kinds), W, convolve.layouts[1])
        arrays = [x, W, y]
        if with_bias:
            arrays.append(b if derived_b is None else derived_b)
        arrays.extend([step for step in epilogue if step is not RELU])
        convolve.run(*arrays)
        return y

    def backward_data(self, gy: np.ndarray, W: np.ndarray) -> np.ndarray:
        """Return the gradient of the input."""
        differentiate = self._data_primitive()
        gx = memory.empty_channels_last(self.geometry.x_shape)
        W, _ = self._ordered_weights('weights for data', W, differentiate.layouts[1])
        differentiate.run(gx, W, gy)
        return gx

    def backward_weights(
        self, x: np.ndarray, gy: np.ndarray, with_bias: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the gradients of weights and bias, the second None without bias."""
        differentiate = self._weights_primitive(with_bias)
        gW = memory.empty(self.geometry.w_shape)
        layout = differentiate.layouts[1]
        reorder = self._reorder('gradient order', layout, self._w_contiguous)
        gW_ordered = gW if reorder is None else memory.empty((layout.size // 4,))
        arrays, gb = [x, gW_ordered, gy], None
        if with_bias:
            gb = memory.empty(self.geometry.w_shape[:1])
            arrays.append(gb)
        differentiate.run(*arrays)
        if reorder is not None:
            reorder.run(gW_ordered, gW)
        return gW, gb

    def _forward_primitive(self, with_bias, kinds=()):
        arguments = [
            (dnnl.ARG_SRC, self._x),
            (dnnl.ARG_WEIGHTS, dnnl.QUERY_WEIGHTS),
            (dnnl.ARG_DST, self._y),
        ]
        if with_bias:
            arguments.append((dnnl.ARG_BIAS, self._b))
        return self._built(
            ('forward', with_bias, kinds),
            'dnnl_convolution_forward_primitive_desc_create',
            lambda: (
                dnnl.FORWARD_TRAINING,
                dnnl.CONVOLUTION_DIRECT,
                self._x,
                self._w,
                self._b if with_bias else None,
                self._y,
                *self._window,
            ),
            arguments,
            [self._y if kind is _ADDEND else kind for kind in kinds],
        )

    def _data_primitive(self):
        return self._built(
            'data',
            'dnnl_convolution_backward_data_primitive_desc_create',
            lambda: (
                dnnl.CONVOLUTION_DIRECT,
                self._x,
                self._w,
                self._y,
                *self._window,
                self._forward_primitive(False),
            ),
            [
                (dnnl.ARG_DIFF_SRC, self._x),
                (dnnl.ARG_WEIGHTS, dnnl.QUERY_WEIGHTS),
                (dnnl.ARG_DIFF_DST, self._y),
            ],
        )

    def _weights_primitive(self, with_bias):
        arguments = [
            (dnnl.ARG_SRC, self._x),
            (dnnl.ARG_DIFF_WEIGHTS, dnnl.QUERY_DIFF_WEIGHTS),
            (dnnl.ARG_DIFF_DST, self._y),
        ]
        if with_bias:
            arguments.append((dnnl.ARG_DIFF_BIAS, self._b))
        return self._built(
            ('weights', with_bias),
            'dnnl_convolution_backward_weights_primitive_desc_create',
            lambda: (
                dnnl.CONVOLUTION_DIRECT,
                self._x,
                self._w,
                self._b if with_bias else None,
                self._y,
                *self._window,
                self._forward_primitive(with_bias),
            ),
            arguments,
        )

    def _built(self, key, function, values, arguments, post_ops=()):
        """Return the primitive that is kept under ``key``, built at first; or raise Refused."""
        found = self._primitives.get(key)
        if found is None:
            found = self._primitives[key] = self._build(function, values, arguments, post_ops)
        if isinstance(found, Refused):
            raise found
        return found

    def _build(self, function, values, arguments, post_ops):
        try:
            built = primitive.Primitive(
                str(self.geometry),
                function,
                (primitive.context().engine, *values()),
                arguments,
                post_ops,
            )
        except Refused as refused:  # the forward pass, on which a gradient depends
            return refused
        except dnnl.OneDNNError as error:
            if error.status != dnnl.UNIMPLEMENTED:
                raise
            return Refused(str(error))
        if built.implementation.startswith('ref'):
            # plain loops: Chainer's matrix product is faster
            return Refused(f'{self.geometry}: {built.implementation}')
        return built

    def _reorder(self, key, source, target):
        """Return the primitive from one layout of the weights to another, None if they are one."""
        if key not in self._primitives:
            self._primitives[key] = None if source == target else primitive.reorder(source, target)
        return self._primitives[key]

    def _ordered_weights(self, key, W, layout):
        """Return the weights in ``layout``, and the bias of derived ones."""
        reorder = self._reorder(key, self._w_contiguous, layout)
        derived = isinstance(W, weights.Derived)
        if reorder is None and not derived:
            return W, None

        def order():
            contiguous, b = W.make() if derived else (W, None)
            if reorder is None:
                return contiguous, b
            ordered = memory.empty((layout.size // 4,))
            reorder.run(contiguous, ordered)
            return ordered, b

        return weights.cached(
            (self.geometry, key, W.name if derived else None),
            W.sources if derived else (W,),
            order,
        )


def get(geometry: Geometry) -> Direct:
    """Return this thread's primitives for a convolution."""
    return primitive.cached(('convolution', geometry), lambda: Direct(geometry))
