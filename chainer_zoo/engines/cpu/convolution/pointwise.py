"""1x1 convolutions that normalize what they read, and write where others write, too.

A 1x1 convolution is one product of matrices, pixels by channels. oneDNN's own code for it reads and
writes whole arrays, so BN with ReLU ahead of it is a pass of its own, and so is a concatenation
behind it. Here loops normalize some pixels, and oneDNN multiplies these while the cache holds them,
into the channels of a larger array if need be.
"""

from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu import openmp
from chainer_zoo.engines.cpu import weights

# Floats that are read and written at a time by a thread, and the least number of pixels for that.
_FLOATS = 1 << 16
_LEAST_PIXELS = 64


def knows(x_shape, w_shape, y_shape, stride, pad, dilate, groups):
    """Return whether a convolution can be computed here."""
    return (
        w_shape[2:] == (1, 1)
        and stride == (1, 1)
        and pad == (0, 0)
        and groups == 1
        and x_shape[2:] == y_shape[2:]
        and openmp.are_possible()
    )


def forward(x, W, b, then=(), line=None, y=None):
    """Convolve.

    Args:
        x (numpy.ndarray): float32 (B, C, H, W), channels last, or some channels of such an array.
        W (numpy.ndarray or chainer_zoo.engines.cpu.weights.Derived): float32 (O, C, 1, 1), C-ordered.
        b (numpy.ndarray or None): float32 (O,); None where W is derived.
        then (sequence): as :func:`chainer_zoo.engines.cpu.convolution.forward` takes it, see
            :func:`chainer_zoo.engines.cpu.openmp.can_follow`. Arrays are channels last.
        line (pair of numpy.ndarray or None): float32 (C,) both, scale and shift: what is convolved
            is ReLU(scale x + shift), computed where x is read.
        y (numpy.ndarray or None): where the result goes, float32 (B, O, H, W), channels last, or
            some channels of such an array.

    Returns:
        numpy.ndarray: float32 (B, O, H, W), channels last.
    """
    if isinstance(W, weights.Derived):
        W, b = weights.kept(('pointwise', W.name), W.sources, W.make)
    o, c = W.shape[:2]
    if y is None:
        y = memory.empty_channels_last((x.shape[0], o) + x.shape[2:])
    step = max(_LEAST_PIXELS, _FLOATS // (c + o))
    relu, added, relu_last = openmp.parsed(then)
    openmp.run(
        '1x1 convolution',
        'convolve_pixels',
        (
            openmp.pixels(x),
            openmp.pixels(y),
            added,
            openmp.NOTHING if b is None else b,
            *(line or (openmp.NOTHING, openmp.NOTHING)),
            W.reshape(1, o, c),
            memory.empty((openmp.thread_limit(), 1, step * c)),
        ),
        (relu, relu_last, step),
    )
    return y
