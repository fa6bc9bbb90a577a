"""What stands in for Chainer's function nodes on a GPU; see :mod:`chainer_zoo.engines.seam`.

:data:`REPLACED` lists ``forward_gpu`` of the three nodes of convolution. Batch normalization has a
selector of implementations, and gets another one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from chainer.backends import cuda
from chainer.functions.connection import convolution_2d
from chainer.functions.connection import deconvolution_2d
from chainer.functions.normalization import batch_normalization

from chainer_zoo.engines.geometry import Geometry
from chainer_zoo.engines.gpu import convolution
from chainer_zoo.engines.gpu import library
from chainer_zoo.engines.gpu import normalization
from chainer_zoo.engines.seam import CHOSEN
from chainer_zoo.engines.seam import NOT_HERE

Arrays = tuple[cuda.ndarray, ...]


def _can_compute(node: Any, *arrays: cuda.ndarray) -> bool:
    """Return whether a node's arrays are plain ones, and its sizes those that cuDNN derives."""
    return (
        not node.cover_all
        and convolution.can_compute(*arrays)
        and all(layout is None for layout in node.input_layouts)
    )


def _convolve(node: convolution_2d.Convolution2DFunction, inputs: Arrays) -> object:
    x, W = inputs[:2]
    if not _can_compute(node, x, W):
        return NOT_HERE
    b = inputs[2] if len(inputs) == 3 else None
    y = convolution.forward(x, W, b, Geometry.of_convolution(node, x.shape, W.shape))
    node.retain_inputs((0, 1))
    return (y,)


def _weights_gradient(node: convolution_2d.Convolution2DGradW, inputs: Arrays) -> object:
    x, gy = inputs
    if not _can_compute(node, x, gy) or x.dtype != node.W_dtype or node.w_layout is not None:
        return NOT_HERE
    geometry = Geometry.of_node(node, x.shape, node.W_shape, gy.shape)
    gW = convolution.backward_weights(x, gy, geometry)
    node.retain_inputs((0, 1))
    return (gW,)


def _deconvolve(node: deconvolution_2d.Deconvolution2DFunction, inputs: Arrays) -> object:
    x, W = inputs[:2]
    if any(layout is not None for layout in node.input_layouts):
        return NOT_HERE
    node._calc_out_size(x.shape, W.shape)
    node._set_cover_all(x.shape, W.shape)
    if not _can_compute(node, x, W):
        return NOT_HERE
    y = convolution.backward_data(x, W, Geometry.of_deconvolution(node, x.shape, W.shape))
    if len(inputs) == 3:
        y += inputs[2].reshape(1, -1, 1, 1)
    node.retain_inputs((0, 1))
    return (y,)


class BatchNormalizationImpl(batch_normalization._BatchNormalizationImpl):
    """What Chainer's batch normalization node runs; its own code where cuDNN refuses.

    Args:
        spatial (bool): whether arrays are (B, C, H, W), not (..., C).
    """

    def __init__(self, spatial: bool):
        self._spatial = spatial
        self._own = batch_normalization.GeneralBatchNormalizationImpl()

    def forward(
        self, axis, gamma, x, x_layout, xp, expander, beta, eps, decay, running_mean, running_var
    ):
        try:
            y, mean, inv_std = normalization.forward(
                x, gamma, beta, eps, decay, running_mean, running_var, self._spatial
            )
        except library.NotSupported:
            return self._own.forward(
                axis, gamma, x, x_layout, xp, expander, beta, eps, decay, running_mean, running_var
            )
        return y, x_layout, running_mean, running_var, mean, None, inv_std, None

    def backward(
        self, axis, gamma, gy, x, x_layout, xp, expander, mean, inv_std, eps, var, forward_data
    ):
        statistics = normalization.parameter_type(x.dtype)
        if gy.dtype == x.dtype and mean.dtype == inv_std.dtype == statistics:
            try:
                gx, ggamma, gbeta = normalization.backward(
                    x, gamma, gy, eps, mean, inv_std, self._spatial
                )
                return gx, x_layout, ggamma, gbeta
            except library.NotSupported:
                pass  # Chainer's own code, below
        between = np.promote_types(x.dtype, gamma.dtype)
        return self._own.backward(
            axis,
            gamma,
            gy,
            x,
            x_layout,
            xp,
            expander,
            mean.astype(between, copy=False),
            inv_std.astype(between, copy=False),
            eps,
            var,
            None,
        )


def _normalize(node: batch_normalization.BatchNormalization, inputs: Arrays) -> object:
    """Choose cuDNN's implementation of batch normalization, where it computes this."""
    x, gamma, _ = inputs
    axis = batch_normalization._compute_axis(x.ndim, gamma.ndim, node.axis)
    key_axis = batch_normalization._compute_key_axis(x.ndim, gamma.ndim, axis)
    # Nodes that were given a selector keep it: the statistics of several processes, say.
    if (
        node._impl_selector is not batch_normalization._impl_selector
        or node.input_layouts[0] is not None
        or not normalization.can_compute(x, gamma, key_axis, node.eps)
    ):
        return NOT_HERE
    spatial = x.ndim == 4 and key_axis[0] == 1
    node._impl_selector = lambda node, inputs: BatchNormalizationImpl(spatial)
    return CHOSEN


REPLACED = (
    (convolution_2d.Convolution2DFunction, 'forward_gpu', _convolve),
    (convolution_2d.Convolution2DGradW, 'forward_gpu', _weights_gradient),
    (deconvolution_2d.Deconvolution2DFunction, 'forward_gpu', _deconvolve),
    (batch_normalization.BatchNormalization, 'forward', _normalize),
)
