"""Stochastic depth for any residual block."""

from __future__ import annotations

from chainer import Variable

from chainer_zoo.functions import shortcut
from chainer_zoo.functions import survival_scale
from chainer_zoo.functions import survives
from chainer_zoo.links.residual_block import ResidualBlock


class WithStochasticDepth(ResidualBlock):
    """Lets a residual block survive a batch with probability ``p``: Huang et al. 2016, section 3.

    To be written before the block's class: ``class StochasticBlock(WithStochasticDepth, Block)``.
    A dropped block is not computed and returns its input unchanged. At test the branch is
    multiplied by ``p``.

    Args:
        in_channels (int): channels of the input. Where earlier blocks were dropped it may have
            fewer, and zeros are appended.
        out_channels (int): channels of the output if the block survives.
        stride (int): of the block.
        p (float): survival probability.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, p: float) -> None:
        super().__init__(in_channels, out_channels, stride)
        self.p = p

    def forward(self, x: Variable, scale: float = 1.0) -> Variable:
        """Return the block's output, or ``x`` if the block is dropped."""
        if not survives(self.p):
            # as the original: unchanged even where the block would change size and channels
            return x
        return super().forward(shortcut(x, self.in_channels), scale * survival_scale(self.p))
