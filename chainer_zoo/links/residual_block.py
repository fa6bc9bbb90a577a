"""What residual blocks have in common."""

from __future__ import annotations

import chainer
from chainer import Variable


class ResidualBlock(chainer.Chain):
    """A branch of layers, whose result is added to the block's input.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output, at least ``in_channels``.
        stride (int): of the branch and the shortcut.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride

    def forward(self, x: Variable, scale: float = 1.0) -> Variable:
        """Return shortcut(x) + scale * branch(x).

        Args:
            x (:class:`~chainer.Variable`): float (B, in_channels, H, W).
            scale (float): factor of the branch.
        """
        raise NotImplementedError
