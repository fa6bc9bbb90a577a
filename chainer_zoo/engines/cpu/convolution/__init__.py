"""Convolution and its gradients, channels last: chooses among the algorithms beside this file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from chainer_zoo.engines.cpu import joining
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.cpu import weights
from chainer_zoo.engines.cpu.convolution import direct
from chainer_zoo.engines.cpu.convolution import epilogue as epilogues
from chainer_zoo.engines.cpu.convolution import pointwise
from chainer_zoo.engines.cpu.convolution import products
from chainer_zoo.engines.cpu.convolution import winograd
from chainer_zoo.engines.cpu.convolution.direct import Weights
from chainer_zoo.engines.cpu.convolution.epilogue import RELU
from chainer_zoo.engines.cpu.convolution.epilogue import Step
from chainer_zoo.engines.geometry import Geometry
from chainer_zoo.engines.seam import Refused

Affine = tuple[np.ndarray, np.ndarray]


class _Choice(NamedTuple):
    """Which algorithms compute a convolution; oneDNN's own code does the rest."""

    can_use_pointwise: bool
    can_use_winograd: bool
    should_use_winograd: bool
    should_use_winograd_for_weights: bool
    should_use_products: bool


def _choose(geometry):
    return primitive.cached(
        ('choice', geometry),
        lambda: _Choice(
            pointwise.can_compute(geometry),
            winograd.can_compute(geometry),
            winograd.should_compute(geometry),
            winograd.should_compute_weights_gradient(geometry),
            products.should_compute(geometry),
        ),
    )


class AffineFusion(NamedTuple):
    """Whether a convolution applies a scale, a shift and ReLU to its input while it reads that.

    Attributes:
        can_fuse: :func:`forward` takes ``affine``.
        should_fuse: that is no slower than a pass of its own.
        can_fuse_in_gradient: :func:`backward_weights` takes ``affine``.
    """

    can_fuse: bool
    should_fuse: bool
    can_fuse_in_gradient: bool


def affine_fusion(geometry: Geometry) -> AffineFusion:
    """Return what can and what should be fused into the reading of a convolution's input."""
    choice = _choose(geometry)
    return AffineFusion(
        choice.can_use_pointwise or choice.can_use_winograd,
        choice.can_use_pointwise or choice.should_use_winograd,
        choice.should_use_winograd_for_weights,
    )


def can_compute(geometry: Geometry, with_bias: bool) -> bool:
    """Return whether oneDNN has fast code for a convolution and its gradients."""
    return direct.get(geometry).can_compute(with_bias)


def forward(
    x: np.ndarray,
    W: Weights,
    b: np.ndarray | None,
    geometry: Geometry,
    epilogue: Sequence[Step] = (),
    affine: Affine | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolve.

    Args:
        x: float32 (B, C, H, W).
        W: float32 (O, C / groups, K_h, K_w), or weights that are derived from others.
        b: float32 (O,); None where W is derived.
        geometry: of the convolution.
        epilogue: what happens to the result before it is stored, in this order: :data:`RELU`, or an
            array that is added, float32 (B, O, y_h, y_w).
        affine: scale and shift, float32 (C,) both: what is convolved is ReLU(scale x + shift). Only
            where :func:`affine_fusion` allows it, and with an epilogue that the compiled loops do.
        out: where the result goes, some channels of a channels-last array.

    Returns:
        numpy.ndarray: float32 (B, O, y_h, y_w), channels last; ``out`` if there is one.

    Raises:
        Refused: oneDNN has no fast code for it.
    """
    x = (memory.to_channels_last if affine is None else memory.to_pixels)(x, 'convolution')
    if not isinstance(W, weights.Derived):
        W = memory.to_contiguous(W, 'convolution weights')
    if b is not None:
        b = memory.to_contiguous(b, 'convolution bias')
    epilogue = [
        step if step is RELU else memory.to_channels_last(step, 'convolution') for step in epilogue
    ]
    choice = _choose(geometry)
    if choice.can_use_pointwise and (affine is not None or out is not None):
        return pointwise.forward(x, W, b, geometry, epilogue, affine, out)
    if affine is not None or (choice.should_use_winograd and epilogues.can_run_in_loops(epilogue)):
        return winograd.forward(x, W, b, geometry, epilogue, affine, out)
    y = _forward_direct(x, W, b, geometry, epilogue)
    if out is None:
        return y
    memory.copy_into(out, y)
    return out


def _forward_direct(x, W, b, geometry, epilogue):
    convolution = direct.get(geometry)
    try:
        return convolution.forward(x, W, b, epilogue)
    except Refused:
        if not epilogue:
            raise
        return epilogues.apply(convolution.forward(x, W, b, ()), epilogue)


def backward_data(
    gy: np.ndarray, W: np.ndarray, geometry: Geometry, addend: np.ndarray | None = None
) -> np.ndarray:
    """Return the gradient of the input, float32 (B, C, H, W), channels last.

    Args:
        gy: float32 (B, O, y_h, y_w), the gradient of the result.
        W: float32 (O, C / groups, K_h, K_w).
        geometry: of the convolution.
        addend: float32 (B, C, H, W), added to the gradient.

    Raises:
        Refused: oneDNN has no fast code for it.
    """
    W = memory.to_contiguous(W, 'convolution weights')
    gy = memory.to_channels_last(gy, 'convolution gradient')
    if geometry.stride == (1, 1) and geometry.groups == 1:
        convolution = geometry.of_input_gradient()
        epilogue = []
        if addend is not None:
            epilogue.append(memory.to_channels_last(addend, 'convolution gradient'))
        if _choose(convolution).should_use_winograd:
            return winograd.forward(gy, W, None, convolution, epilogue, transposed=True)
        if addend is not None and min(convolution.pad) >= 0:
            # oneDNN adds before it stores in a convolution, but not in the gradient of one.
            return forward(gy, _transposed(W), None, convolution, epilogue)
    gx = direct.get(geometry).backward_data(gy, W)
    if addend is not None:
        joining.add_in_place(gx, addend)
    return gx


def _transposed(W):
    """Return the weights of the convolution that is the gradient of the input."""
    o, c, *kernel = W.shape
    return weights.Derived(
        'transposed',
        (W,),
        (c, o, *kernel),
        False,
        lambda: (W[:, :, ::-1, ::-1].swapaxes(0, 1).copy(), None),
    )


def backward_weights(
    x: np.ndarray,
    gy: np.ndarray,
    geometry: Geometry,
    with_bias: bool,
    affine: Affine | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the gradients of weights and bias.

    Args:
        x: float32 (B, C, H, W).
        gy: float32 (B, O, y_h, y_w), the gradient of the result.
        geometry: of the convolution.
        with_bias: whether the gradient of the bias is wanted.
        affine: as in :func:`forward`, where :func:`affine_fusion` allows it in the gradient.

    Returns:
        tuple: float32 arrays of W's shape and (O,), the second None without bias.

    Raises:
        Refused: oneDNN has no fast code for it.
    """
    x = memory.to_channels_last(x, 'convolution')
    gy = memory.to_channels_last(gy, 'convolution gradient')
    choice = _choose(geometry)
    if affine is not None or choice.should_use_winograd_for_weights:
        return winograd.gradient(x, gy, geometry, with_bias, affine)
    convolution = direct.get(geometry)
    if (
        choice.should_use_products
        and convolution.weights_implementation(with_bias) in products.SLOW
    ):
        return products.gradient(x, gy, geometry, with_bias)
    return convolution.backward_weights(x, gy, with_bias)
