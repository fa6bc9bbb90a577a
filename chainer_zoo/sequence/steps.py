"""Steps of a sequence that take a second input: a sum with a shortcut, a concatenation."""

import chainer
import chainer.functions as F

from chainer_zoo.functions.shortcut import residual_add


class Join:
    """Concatenation as a step of :func:`in_sequence`: the channels of ``x``, then the others.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C, H, W).
    """

    def __init__(self, x):
        self.x = chainer.as_variable(x)

    def __call__(self, h):
        return F.concat((self.x, h))


class Skip:
    """The sum with a shortcut as a step: :func:`~chainer_zoo.functions.residual_add`.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): the shortcut's input.
        stride (int): as in :func:`~chainer_zoo.functions.residual_add`.
        scale (float): as there.
    """

    def __init__(self, x, stride=1, scale=1.0):
        self.x = chainer.as_variable(x)
        self.stride = stride
        self.scale = scale

    def __call__(self, h):
        return residual_add(h, self.x, self.stride, self.scale)

    def is_sum(self, shape):
        """Return whether it is a plain sum with a branch of ``shape``."""
        return self.stride == 1 and self.scale == 1 and self.x.shape == shape
