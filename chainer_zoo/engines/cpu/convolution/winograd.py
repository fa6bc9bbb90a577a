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

import functools
import math

import numpy as np

from chainer_zoo.engines.cpu import library as dnnl
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import openmp
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.cpu import weights

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
_TURNED_RULES = np.ascontiguousarray(_RULES[:, ::-1])
_GRADIENT_RULES = np.ascontiguousarray(_RULES.T)


@functools.cache
def _least_channels():
    """Return the least C O / (C + O), C channels in, O out, for a convolution and for a gradient.

    So many products are saved for each of the sums. Without AVX-512 oneDNN's own code is slow where
    channels do not fill vectors, and for the gradient of weights; with it the bound is cautious.
    """
    return (25, 25) if dnnl.has_avx512(primitive.context().library) else (10, 9)


def knows(x_shape, w_shape, y_shape, stride, pad, dilate, groups):
    """Return whether a convolution can be computed here, and is not a very small one."""
    return (
        w_shape[2:] == (3, 3)
        and stride == (1, 1)
        and dilate == (1, 1)
        and groups == 1
        and 0 <= min(pad)
        and max(pad) <= 2
        and y_shape[2:] == tuple(n + 2 * p - 2 for n, p in zip(x_shape[2:], pad))
        and y_shape[0] * -(-y_shape[2] // 2) * -(-y_shape[3] // 2) >= _LEAST_TILES
        and openmp.are_possible()
    )


def takes(x_shape, w_shape, y_shape, stride, pad, dilate, groups):
    """Return whether a convolution should be computed here, and whether its weights' gradient."""
    o, c = w_shape[:2]
    if not knows(x_shape, w_shape, y_shape, stride, pad, dilate, groups):
        return False, False
    forward, gradient = [c * o >= least * (c + o) for least in _least_channels()]
    most_sums = max(_MOST_SUMS, math.prod(x_shape) + math.prod(y_shape))
    return forward, gradient and openmp.thread_limit() * 16 * c * o <= most_sums


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


def _transform(W, turned):
    """Return what is multiplied for weights (O, C, 3, 3): (16, C, O); turned, (16, O, C)."""
    o, c = W.shape[:2]
    strides = (c, 1, o * c) if turned else (1, o, c * o)
    elements = memory.empty((9, c * o))
    primitive.cached(
        ('winograd order', W.shape, turned),
        lambda: primitive.reorder(
            primitive.contiguous((o, c, 9)), primitive.strided((o, c, 9), strides)
        ),
    ).run(W, elements)
    y = memory.empty((16, o, c) if turned else (16, c, o))
    primitive.cached(
        ('winograd weights', c * o),
        lambda: _matmul(*map(primitive.contiguous, ((16, 9), (9, c * o), (16, c * o)))),
    ).run(_TURNED_RULES if turned else _RULES, elements, y)
    return y


def _transformed(W, turned):
    """Return what is multiplied for ``W``, kept for as long as it is what it was, and a bias."""
    derived = isinstance(W, weights.Derived)

    def make():
        plain, b = W.make() if derived else (W, None)
        return _transform(plain, turned), b

    return weights.kept(
        ('winograd', W.name if derived else None, turned), W.sources if derived else (W,), make
    )


def forward(x, W, b, y_hw, pad, then=(), turned=False, line=None, y=None):
    """Convolve, or compute the gradient of a convolution's input.

    Args:
        x (numpy.ndarray): float32 (B, C, H, W), channels last, or some channels of such an array.
            For the gradient, that of the result.
        W (numpy.ndarray or chainer_zoo.engines.cpu.weights.Derived): float32 (O, C, 3, 3), C-ordered.
            For the gradient, (C, O, 3, 3).
        b (numpy.ndarray or None): float32 (O,); None where W is derived.
        y_hw (pair of int): height and width of the result.
        pad (pair of int): zeros before the first pixel. For the gradient, 2 less those of the
            convolution.
        then (sequence): as :func:`chainer_zoo.engines.cpu.convolution.forward` takes it, see
            :func:`chainer_zoo.engines.cpu.openmp.can_follow`. Arrays are channels last.
        turned (bool): whether it is the gradient.
        line (pair of numpy.ndarray or None): float32 (C,) both, scale and shift: what is convolved
            is ReLU(scale x + shift), computed where x is read.
        y (numpy.ndarray or None): where the result goes, float32 (B, O, y_h, y_w), channels last,
            or some channels of such an array.

    Returns:
        numpy.ndarray: float32 (B, O, y_h, y_w), channels last.
    """
    factors, derived_b = _transformed(W, turned)
    _, c, o = factors.shape
    bias = derived_b if derived_b is not None else b if b is not None else openmp.NOTHING
    relu, added, relu_last = openmp.parsed(then)
    if y is None:
        y = memory.empty_channels_last((x.shape[0], o) + tuple(y_hw))
    step, inputs, products = _scratch(y.shape, c, o)
    openmp.run(
        '3x3 convolution',
        'convolve_tiles',
        (
            openmp.pixels(x),
            openmp.pixels(y),
            added,
            bias,
            *(line or (openmp.NOTHING, openmp.NOTHING)),
            factors,
            inputs,
            products,
        ),
        pad + (relu, relu_last, step),
    )
    return y


def gradient(x, gy, pad, with_bias, line=None):
    """Return the gradients of weights and bias.

    Args:
        x (numpy.ndarray): float32 (B, C, H, W), channels last.
        gy (numpy.ndarray): float32 (B, O, y_h, y_w), channels last, the gradient of the result.
        pad (pair of int): zeros before the first pixel.
        with_bias (bool): whether the gradient of the bias is wanted.
        line (pair of numpy.ndarray or None): as :func:`forward` takes it.

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
            *(line or (openmp.NOTHING, openmp.NOTHING)),
            sums,
            inputs,
            gradients,
        ),
        pad + (step,),
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
