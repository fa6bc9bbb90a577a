"""A stage of pre-activated blocks of two 3x3 convolutions."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import dropout
from chainer_zoo.functions import shortcut
from chainer_zoo.links.bn_relu_conv import BNReLUConv
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import Skip
from chainer_zoo.sequence import Step


class BasicStage(chainer.Chain):
    """Pre-activated blocks of two 3x3 convolutions that add to what came in.

    Source of the block: He et al. 2016, "Identity Mappings in Deep Residual Networks", figure 1
    (b). The shortcut picks every ``stride``-th pixel and appends zero channels.

    Args:
        in_channels (int): channels of the stage's input.
        out_channels (int): channels of the output, at least ``in_channels``.
        stride (int): of the stage, at its first convolution and first shortcut.
        blocks (int): number of blocks, counted from 1.
        dropout_ratio (float): of dropout before each block's second convolution; 0 leaves it out.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / stride, W / stride).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        blocks: int,
        dropout_ratio: float = 0.0,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride
        self.blocks = blocks
        self.dropout_ratio = dropout_ratio
        with self.init_scope():
            for i in range(1, blocks + 1):
                setattr(
                    self,
                    f'bn_relu_conv1_{i}',
                    BNReLUConv(
                        in_channels if i == 1 else out_channels,
                        out_channels,
                        3,
                        stride if i == 1 else 1,
                        1,
                    ),
                )
                setattr(self, f'bn_relu_conv2_{i}', BNReLUConv(out_channels, out_channels, 3, 1, 1))

    def branch(self, i: int) -> list[Step]:
        """Return the two layers of block ``i`` (from 1), steps of a sequence."""
        first, second = (self[f'bn_relu_conv{layer}_{i}'] for layer in (1, 2))
        if not self.dropout_ratio:
            return [first, second]
        return [first, second.bn, F.relu, self._dropout, second.conv]

    def _dropout(self, x: Variable) -> Variable:
        return dropout(x, self.dropout_ratio)

    def skip(self, x: Variable, i: int) -> Variable:
        """Return what the shortcut of block ``i`` (from 1) makes of its input.

        Args:
            x (:class:`~chainer.Variable`): float (B, C, H, W).
            i (int): from 1.

        Returns:
            :class:`~chainer.Variable`: float (B, out_channels, H, W), strided if ``i`` is 1.
        """
        return shortcut(x, self.out_channels, self.stride) if i == 1 else x

    def forward(self, x: Variable) -> Variable:
        for i in range(1, self.blocks + 1):
            x = in_sequence(x, *self.branch(i), Skip(x, self.stride if i == 1 else 1))
        return x
