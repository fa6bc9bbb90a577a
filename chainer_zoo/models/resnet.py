"""Deep Residual Learning for Image Recognition (He et al. 2015)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.links import BasicBlock
from chainer_zoo.links import ChainedBlocks
from chainer_zoo.links import ConvBNReLU


class ResNet(chainer.Chain):
    """ResNet for CIFAR-10: section 4.2 of the paper, 110 layers in its table 6.

    Three stages of (depth - 2) / 6 blocks; see :class:`~chainer_zoo.links.BasicBlock`.

    Args:
        n_class (int): number of classes.
        depth (int): number of layers, 6 n + 2 with n blocks a stage.
        k (int): width; stages have 16 k, 32 k and 64 k channels.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class), at least 0.

    Source: nutszebra/original_residual_net, original_residual_net.py, at 020e827.

    Differences:
        From the paper: the last layer is a 1x1 convolution with BN and ReLU instead of a linear
        layer; where a stage begins the second convolution strides instead of the first;
        convolutions have biases.
        From the original: none.
    """

    def __init__(self, n_class: int = 10, depth: int = 110, k: int = 1) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        channels = 16 * k
        with self.init_scope():
            self.conv1 = ConvBNReLU(3, channels, 3, 1, 1)
            for stage, width in enumerate((16 * k, 32 * k, 64 * k)):
                setattr(
                    self,
                    f'res_block{stage}',
                    ChainedBlocks(
                        BasicBlock(width if i else channels, width, 1 if i or not stage else 2)
                        for i in range(blocks)
                    ),
                )
                channels = width
            self.linear = ConvBNReLU(channels, n_class, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        h = self.conv1(x)  # (B, 16, 32, 32)
        h = self.res_block0(h)  # (B, 16, 32, 32)
        h = self.res_block1(h)  # (B, 32, 16, 16)
        h = self.res_block2(h)  # (B, 64, 8, 8)
        h = F.average(h, axis=(2, 3), keepdims=True)  # (B, 64, 1, 1)
        # as the original: logits pass BN and ReLU
        return F.squeeze(self.linear(h), axis=(2, 3))
