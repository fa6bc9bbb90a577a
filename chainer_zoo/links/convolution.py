"""Convolution and linear layer with the article's initialization."""

from __future__ import annotations

import chainer.links as L

from chainer_zoo.initializers import HeOrthogonal
from chainer_zoo.initializers import is_outline


class Convolution2D(L.Convolution2D):
    """Chainer's convolution that starts with :class:`~chainer_zoo.initializers.HeOrthogonal`.

    Args:
        in_channels (int): C of the input.
        out_channels (int): C of the output.
        ksize (int or pair of ints): kernel size.
        stride (int or pair of ints): stride.
        pad (int or pair of ints): zeros around the input.

    Other options are Chainer's. Biases start at 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ksize: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        pad: int | tuple[int, int] = 0,
        **kwargs,
    ) -> None:
        kwargs.setdefault('initialW', HeOrthogonal())
        if is_outline((out_channels, in_channels // kwargs.get('groups', 1), *_pair(ksize))):
            in_channels = None  # Chainer leaves W without an array then
        super().__init__(in_channels, out_channels, ksize, stride, pad, **kwargs)


class Linear(L.Linear):
    """Chainer's linear layer that starts with :class:`~chainer_zoo.initializers.HeOrthogonal`."""

    def __init__(self, in_size: int, out_size: int, **kwargs) -> None:
        kwargs.setdefault('initialW', HeOrthogonal())
        if is_outline((out_size, in_size)):
            in_size = None
        super().__init__(in_size, out_size, **kwargs)


def _pair(x):
    return x if isinstance(x, tuple) else (x, x)
