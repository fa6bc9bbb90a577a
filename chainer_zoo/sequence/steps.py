"""Steps of a sequence that take a second input: a sum with a shortcut, a concatenation."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions.shortcut import residual_add


class Join:
    """Concatenation as a step: the channels of ``x``, then those of the step before it.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C, H, W).
    """

    def __init__(self, x: Variable) -> None:
        self.x = chainer.as_variable(x)

    def __call__(self, h: Variable) -> Variable:
        return F.concat((self.x, h))

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether it can be joined with a result of ``shape``."""
        x_shape = self.x.shape
        return (
            len(x_shape) == len(shape) == 4 and x_shape[:1] + x_shape[2:] == shape[:1] + shape[2:]
        )


class Skip:
    """The sum with a shortcut as a step: :func:`~chainer_zoo.functions.residual_add`.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): the shortcut's input.
        stride (int): the shortcut takes every ``stride``-th pixel.
        scale (float): factor of the branch, which the step before it gives.
    """

    def __init__(self, x: Variable, stride: int = 1, scale: float = 1.0) -> None:
        self.x = chainer.as_variable(x)
        self.stride = stride
        self.scale = scale

    def __call__(self, h: Variable) -> Variable:
        return residual_add(h, self.x, self.stride, self.scale)

    def is_plain_sum(self, shape: tuple[int, ...]) -> bool:
        """Return whether it only adds ``x`` to a branch of ``shape``."""
        return self.stride == 1 and self.scale == 1 and self.x.shape == shape
