"""3x3 convolutions with fewer multiplications: Winograd's minimal filtering F(2x2, 3x3).

Of 2 x 2 pixels of the result, a *tile*, each takes 9 products for every pair of channels, 36
together. Sums and differences of the 4 x 4 pixels that it meets, times others of the 3 x 3 weights,
need 16 (Lavin and Gray 2015, Fast Algorithms for Convolutional Neural Networks, sections 4.1 and
5.1). So a convolution becomes 16 products of matrices, channels in by channels out, over all tiles.
oneDNN computes these, compiled loops the sums, both for some rows of tiles at a time, which the
cache holds. Both gradients are computed likewise: that of the input is a convolution itself, that
of the weights sums the products of both factors over all tiles.

The sums cost the more the fewer channels share them: see :func:`takes`. Rounding errors are about
those of oneDNN's direct code: everything is sums, and halves of weights.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import openmp
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.cpu import weights
from chainer_zoo.engines.cpu.convolution import epilogue as epilogues
from chainer_zoo.engines.geometry import Geometry

# Tiles that are worked on at a time, and floats that they and their products may take in a cache.
_TILES = 256
_FLOATS = 1 << 19

# The least number of tiles that are worth transforming the weights for.
_LEAST_TILES = 512

# Floats that the threads' sums of a gradient may take, if they are more than what is summed.
_MOST_SUMS = 1 << 24

# The rule for the weights, along one axis and along both: (16, 9).
_RULE = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
_RULES = np.kron(_RULE, _RULE)
_TRANSPOSED_RULES = np.ascontiguousarray(_RULES[:, ::-1])
_GRADIENT_RULES = np.ascontiguousarray(_RULES.T)


@functools.cache
def _least_channels():
    """Return the least C O / (C + O), C channels in, O out, for a convolution and for a gradient.

    So many products are saved for each of the sums. Without AVX-512 oneDNN's own code is slow where
    channels do not fill vectors, and for the gradient of weights; with it the bound is cautious.
    """
    return (25, 25) if dnnl.has_avx512(primitive.context().library) else (10, 9)


def can_compute(geometry: Geometry) -> bool:
    """Return whether a convolution can be computed here, and is not a very small one."""
    batch, _, height, width = geometry.y_shape
    return (
        geometry.w_shape[2:] == (3, 3)
        and geometry.stride == (1, 1)
        and geometry.dilation == (1, 1)
        and geometry.groups == 1
        and 0 <= min(geometry.pad)
        and max(geometry.pad) <= 2
        and (height, width)
        == tuple([n + 2 * p - 2 for n, p in zip(geometry.x_shape[2:], geometry.pad)])
        and batch * -(-height // 2) * -(-width // 2) >= _LEAST_TILES
        and openmp.can_run()
    )


def should_compute(geometry: Geometry) -> bool:
    """Return whether a convolution can be computed here, and that is faster."""
    return can_compute(geometry) and _has_enough_channels(geometry, _least_channels()[0])


def should_compute_weights_gradient(geometry: Geometry) -> bool:
    """Return whether :func:`gradient` can compute it, is faster, and takes little memory."""
    if not can_compute(geometry) or not _has_enough_channels(geometry, _least_channels()[1]):
        return False
    o, c = geometry.w_shape[:2]
    most_sums = max(_MOST_SUMS, math.prod(geometry.x_shape) + math.prod(geometry.y_shape))
    return openmp.thread_limit() * 16 * c * o <= most_sums


def _has_enough_channels(geometry, least):
    o, c = geometry.w_shape[:2]
    return c * o >= least * (c + o)


def _scratch(y_shape, c, o):
    """Return how many rows of tiles are worked on at a time, and memory for it.

    Args:
        y_shape (tuple of int): (B, O, H, W).
        c, o (int): channels of both matrices.

    Returns:
        tuple: an int; two arrays, float32 (threads, 16, tiles * channels and a gap).
    """
    tiles_x = -(-y_shape[3] // 2)
    step = max(1, min(_TILES, _FLOATS // 16 // (c + o)) // tiles_x)
    shape = openmp.thread_limit(), 16
    return (
        step,
        *[memory.empty(shape + (step * tiles_x * channels + openmp.GAP,)) for channels in (c, o)],
    )


def _matmul(a, b, y, post_ops=()):
    return primitive.Primitive(
        'product for a 3x3 convolution',
        'dnnl_matmul_primitive_desc_create',
        (primitive.context().engine, a, b, None, y),
        list(zip((dnnl.ARG_SRC, dnnl.ARG_WEIGHTS, dnnl.ARG_DST), (a, b, y))),
        post_ops,
    )


def _transform(W, transposed):
    """Return what is multiplied for weights (O, C, 3, 3): (16, C, O); transposed, (16, O, C)."""
    o, c = W.shape[:2]
    strides = (c, 1, o * c) if transposed else (1, o, c * o)
    elements = memory.empty((9, c * o))
    primitive.cached(
        ('winograd order', W.shape, transposed),
        lambda: primitive.reorder(
            primitive.contiguous((o, c, 9)), primitive.strided((o, c, 9), strides)
        ),
    ).run(W, elements)
    y = memory.empty((16, o, c) if transposed else (16, c, o))
    primitive.cached(
        ('winograd weights', c * o),
        lambda: _matmul(*map(primitive.contiguous, ((16, 9), (9, c * o), (16, c * o)))),
    ).run(_TRANSPOSED_RULES if transposed else _RULES, elements, y)
    return y


def _transformed(W, transposed):
    """Return what is multiplied for ``W``, out of the cache if it is there, and a bias."""
    derived = isinstance(W, weights.Derived)

    def make():
        plain, b = W.make() if derived else (W, None)
        return _transform(plain, transposed), b

    return weights.cached(
        ('winograd', W.name if derived else None, transposed),
        W.sources if derived else (W,),
        make,
    )


def forward(
    x: np.ndarray,
    W: np.ndarray | weights.Derived,
    b: np.ndarray | None,
    geometry: Geometry,
    epilogue: Sequence[epilogues.Step] = (),
    affine: tuple[np.ndarray, np.ndarray] | None = None,
    out: np.ndarray | None = None,
    transposed: bool = False,
) -> np.ndarray:
    """Convolve.

    Args:
        x: float32 (B, C, H, W), channels last, or some channels of such an array.
        W: float32 (O, C, 3, 3), C-ordered.
        b: float32 (O,); None where W is derived.
        geometry: of the convolution.
        epilogue: one that :func:`.epilogue.can_run_in_loops`. Arrays are channels last.
        affine: scale and shift, float32 (C,) both: what is convolved is ReLU(scale x + shift),
            computed where x is read.
        out: where the result goes, float32 (B, O, y_h, y_w), channels last, or some channels of
            such an array.
        transposed: whether this is the gradient of another convolution's input, whose weights
            (C, O, 3, 3) are given.

    Returns:
        numpy.ndarray: float32 (B, O, y_h, y_w), channels last; ``out`` if there is one.
    """
    factors, derived_b = _transformed(W, transposed)
    _, c, o = factors.shape
    bias = derived_b if derived_b is not None else b if b is not None else openmp.NOTHING
    relu, addend, relu_last = epilogues.unpack(epilogue)
    y = memory.empty_channels_last(geometry.y_shape) if out is None else out
    step, inputs, products = _scratch(y.shape, c, o)
    openmp.run(
        '3x3 convolution',
        'convolve_tiles',
        (
            openmp.pixels(x),
            openmp.pixels(y),
            addend,
            bias,
            *(affine or (openmp.NOTHING, openmp.NOTHING)),
            factors,
            inputs,
            products,
        ),
        geometry.pad + (relu, relu_last, step),
    )
    return y


def gradient(
    x: np.ndarray,
    gy: np.ndarray,
    geometry: Geometry,
    with_bias: bool,
    affine: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the gradients of weights and bias.

    Args:
        x: float32 (B, C, H, W), channels last.
        gy: float32 (B, O, y_h, y_w), channels last, the gradient of the result.
        geometry: of the convolution.
        with_bias: whether the gradient of the bias is wanted.
        affine: as :func:`forward` takes it.

    Returns:
        tuple: float32 arrays of shape (O, C, 3, 3) and (O,), the second None without bias.
    """
    c, o = x.shape[1], gy.shape[1]
    step, inputs, gradients = _scratch(gy.shape, c, o)
    sums = memory.empty((len(inputs), 16, c * o))
    sums.fill(0)
    totals = np.zeros((len(inputs), 1, o), np.float32)
    openmp.run(
        '3x3 convolution, gradient of weights',
        'sum_products',
        (
            openmp.pixels(x),
            openmp.pixels(gy),
            totals,
            *(affine or (openmp.NOTHING, openmp.NOTHING)),
            sums,
            inputs,
            gradients,
        ),
        geometry.pad + (step,),
    )
    total, gb = sums[0], totals[0, 0]
    for more, more_b in zip(sums[1:], totals[1:]):
        total += more
        gb += more_b[0]
    elements = memory.empty((9, c, o))
    primitive.cached(
        ('winograd weights gradient', c * o),
        lambda: _matmul(*map(primitive.contiguous, ((9, 16), (16, c * o), (9, c * o)))),
    ).run(_GRADIENT_RULES, total, elements)
    gW = memory.empty((o, c, 3, 3))
    primitive.cached(
        ('winograd gradient order', o, c),
        lambda: primitive.reorder(
            primitive.strided((o, c, 9), (1, o, c * o)), primitive.contiguous((o, c, 9))
        ),
    ).run(elements, gW)
    return gW, gb if with_bias else None
