"""The residual block of two 3x3 convolutions with ReLU after the sum."""

from __future__ import annotations

import chainer.functions as F
from chainer import Variable

from chainer_zoo.links.batch_normalization import BatchNormalization
from chainer_zoo.links.convolution import Convolution2D
from chainer_zoo.links.residual_block import ResidualBlock
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import Skip


class BasicBlock(ResidualBlock):
    """ReLU(BN(conv(ReLU(BN(conv(x))))) + shortcut(x)): He et al. 2015, figure 5, left.

    The shortcut picks every ``stride``-th pixel and appends zero channels (option A there). Args,
    input and output: as :class:`~chainer_zoo.links.ResidualBlock`.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, stride)
        with self.init_scope():
            self.conv1 = Convolution2D(in_channels, out_channels, 3, 1, 1)
            self.bn1 = BatchNormalization(out_channels)
            # as the original: the second convolution strides, the paper's first one does
            self.conv2 = Convolution2D(out_channels, out_channels, 3, stride, 1)
            self.bn2 = BatchNormalization(out_channels)

    def forward(self, x: Variable, scale: float = 1.0) -> Variable:
        return in_sequence(
            x,
            self.conv1,
            self.bn1,
            F.relu,
            self.conv2,
            self.bn2,
            Skip(x, self.stride, scale),
            F.relu,
        )
