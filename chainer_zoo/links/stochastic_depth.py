"""Stochastic depth for a residual block."""

from __future__ import annotations

from chainer import Variable

from chainer_zoo.functions import shortcut
from chainer_zoo.functions import survival_scale
from chainer_zoo.functions import survives


class WithStochasticDepth:
    """Lets a residual block survive a batch with probability ``p``: Huang et al. 2016, section 3.

    Write it before the class of the block, ``class StochasticBlock(WithStochasticDepth, Block)``.
    That class takes ``in_channels``, ``out_channels`` and ``stride``, and its ``forward`` takes the
    input and a factor of the branch. A dropped block is not computed and returns its input
    unchanged. At test the branch is multiplied by ``p``.

    Args:
        in_channels (int): channels of the input; where earlier blocks were dropped it may have
            fewer, and zeros are appended.
        out_channels (int): channels of the output if the block survives.
        stride (int): of the block.
        p (float): survival probability.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, p: float) -> None:
        super().__init__(in_channels, out_channels, stride)
        self.in_channels = in_channels
        self.p = p

    def forward(self, x: Variable) -> Variable:
        if not survives(self.p):
            # as the original: unchanged even where the block would change size and channels
            return x
        return super().forward(shortcut(x, self.in_channels), survival_scale(self.p))
