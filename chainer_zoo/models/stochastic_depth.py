"""Deep Networks with Stochastic Depth (Huang et al. 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import shortcut
from chainer_zoo.links import BasicBlock
from chainer_zoo.links import ChainedBlocks
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import WithStochasticDepth
from chainer_zoo.models.schedules import linear_schedule


class StochasticBlock(WithStochasticDepth, BasicBlock):
    """A residual block that survives a batch with probability ``p``: equations 2 and 5."""


class StochasticDepth(chainer.Chain):
    """ResNet with stochastic depth for CIFAR-10: section 3 of the paper.

    Args:
        n_class (int): number of classes.
        depth (int): number of layers; depth / 6 blocks a stage, rounded down.
        last_survival (float): survival probability that the blocks' line runs to.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class), at least 0.

    Source: nutszebra/stochastic_depth, stochastic_depth.py, at 8c63cbb.

    Differences:
        From the paper: survival probabilities run from 1 to 0.5 + 0.5 / blocks instead of ending
        at 0.5 (equation 4); a dropped block that would halve the image leaves it as large as it
        is, so later stages then work on larger maps; the last layer is a 1x1 convolution with BN
        and ReLU; convolutions have biases.
        From the original: the classifier appends the channels it lacks where a whole stage was
        dropped; the original fails there (at depth 110 that practically never happens).
    """

    def __init__(self, n_class: int = 10, depth: int = 110, last_survival: float = 0.5) -> None:
        super().__init__()
        blocks = depth // 6
        p = iter(linear_schedule(1.0, last_survival, 3 * blocks))
        channels = 16
        with self.init_scope():
            self.conv1 = ConvBNReLU(3, channels, 3, 1, 1)
            for stage, width in enumerate((16, 32, 64)):
                setattr(
                    self,
                    f'stochastic_block{stage}',
                    ChainedBlocks(
                        (
                            StochasticBlock(
                                width if i else channels, width, 1 if i or not stage else 2, next(p)
                            )
                            for i in range(blocks)
                        ),
                        'res_block',
                    ),
                )
                channels = width
            self.linear = ConvBNReLU(channels, n_class, 1, 1, 0)
        self.channels = channels

    def forward(self, x: Variable) -> Variable:
        h = self.conv1(x)  # (B, 16, 32, 32)
        # with no block dropped; size and channels stay where the first block of a stage is
        h = self.stochastic_block0(h)  # (B, 16, 32, 32)
        h = self.stochastic_block1(h)  # (B, 32, 16, 16)
        h = self.stochastic_block2(h)  # (B, 64, 8, 8)
        h = F.average(h, axis=(2, 3), keepdims=True)  # (B, 64, 1, 1)
        # unlike the original: it fails here if the whole last stage was dropped
        h = shortcut(h, self.channels)
        # as the original: logits pass BN and ReLU
        return F.squeeze(self.linear(h), axis=(2, 3))
