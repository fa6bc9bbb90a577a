"""1x1 convolutions that normalize their input and can write into part of a larger array.

A 1x1 convolution is one matrix product, pixels by channels. oneDNN's own code for it reads and
writes whole arrays, so BN with ReLU before it is a pass of its own, and so is a concatenation after
it. Here compiled loops normalize a few pixels at a time, and oneDNN multiplies these while they are
in the cache. The result can go into some channels of a larger array.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import openmp
from chainer_zoo.engines.cpu import weights
from chainer_zoo.engines.cpu.convolution import epilogue as epilogues
from chainer_zoo.engines.geometry import Geometry

# Floats that are read and written at a time by a thread, and the least number of pixels for that.
_FLOATS = 1 << 16
_LEAST_PIXELS = 64


def can_compute(geometry: Geometry) -> bool:
    """Return whether a convolution can be computed here."""
    return (
        geometry.w_shape[2:] == (1, 1)
        and geometry.stride == (1, 1)
        and geometry.pad == (0, 0)
        and geometry.groups == 1
        and geometry.x_shape[2:] == geometry.y_shape[2:]
        and openmp.can_run()
    )


def forward(
    x: np.ndarray,
    W: np.ndarray | weights.Derived,
    b: np.ndarray | None,
    geometry: Geometry,
    epilogue: Sequence[epilogues.Step] = (),
    affine: tuple[np.ndarray, np.ndarray] | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolve.

    Args:
        x: float32 (B, C, H, W), channels last, or some channels of such an array.
        W: float32 (O, C, 1, 1), C-ordered.
        b: float32 (O,); None where W is derived.
        geometry: of the convolution.
        epilogue: one that :func:`.epilogue.can_run_in_loops`. Arrays are channels last.
        affine: scale and shift, float32 (C,) both: what is convolved is ReLU(scale x + shift),
            computed where x is read.
        out: where the result goes, float32 (B, O, H, W), channels last, or some channels of such an
            array.

    Returns:
        numpy.ndarray: float32 (B, O, H, W), channels last; ``out`` if there is one.
    """
    if isinstance(W, weights.Derived):
        W, b = weights.cached(('pointwise', W.name), W.sources, W.make)
    o, c = W.shape[:2]
    y = memory.empty_channels_last(geometry.y_shape) if out is None else out
    step = max(_LEAST_PIXELS, _FLOATS // (c + o))
    relu, addend, relu_last = epilogues.unpack(epilogue)
    openmp.run(
        '1x1 convolution',
        'convolve_pixels',
        (
            openmp.pixels(x),
            openmp.pixels(y),
            addend,
            openmp.NOTHING if b is None else b,
            *(affine or (openmp.NOTHING, openmp.NOTHING)),
            W.reshape(1, o, c),
            memory.empty((openmp.thread_limit(), 1, step * c)),
        ),
        (relu, relu_last, step),
    )
    return y
