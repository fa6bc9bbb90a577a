"""Weighted Residuals for Very Deep Networks (Shen and Zeng 2016)."""

from __future__ import annotations

from collections.abc import Iterator

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import shortcut
from chainer_zoo.links import ChainedBlocks
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import ResidualBlock
from chainer_zoo.links import WithStochasticDepth
from chainer_zoo.models.schedules import linear_schedule
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import Skip


class Alpha(chainer.Link):
    """One trained number that multiplies everything; it starts at 0.

    Its shape is that of a 1x1 convolution's weight from one channel to one, as the original holds
    it. Input and output: float (B, C, H, W).
    """

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.W = chainer.Parameter(0, (1, 1, 1, 1))

    def forward(self, x: Variable) -> Variable:
        return x * self.W


class Weight(chainer.Chain):
    """The level at which the original's paths have the number: ``weight/weight/W``."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.weight = Alpha()

    def forward(self, x: Variable) -> Variable:
        return self.weight(x)


class WeightedBlock(ResidualBlock):
    """y = alpha F(x) + x, with F = conv, BN, ReLU twice.

    Args, input and output: as :class:`~chainer_zoo.links.ResidualBlock`.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, stride)
        with self.init_scope():
            self.conv1 = ConvBNReLU(in_channels, out_channels, 3, 1, 1)
            # as the original: the second convolution strides
            self.conv2 = ConvBNReLU(out_channels, out_channels, 3, stride, 1)
            self.weight = Weight()

    def forward(self, x: Variable, scale: float = 1.0) -> Variable:
        return in_sequence(x, self.conv1, self.conv2, self.weight, Skip(x, self.stride, scale))


class StochasticWeightedBlock(WithStochasticDepth, WeightedBlock):
    """A weighted residual block that survives a batch with probability ``p``."""


class WeightedResNet(chainer.Chain):
    """WResNet-d for CIFAR-10: weighted residuals with stochastic depth.

    Args:
        n_class (int): number of classes.
        depth (int): number of layers, 6 n + 4 with n blocks a stage.
        k (int): width; stages have 16 k, 32 k and 64 k channels.
        last_survival (float): survival probability that the blocks' line runs to.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class), at least 0.

    Source: nutszebra/weighted_residual_net, weighted_residual_net.py, at 05404fe.

    Differences:
        From the paper: alpha is trained by plain momentum SGD with its own rate instead of
        projected SGD, and weight decay acts on it too; shortcuts pick pixels and append zero
        channels; survival probabilities end one step above 0.5; the last layer is a 1x1
        convolution with BN and ReLU; convolutions have biases.
        From the original: none. It multiplies by alpha with a 1x1 convolution over the channels
        laid out as rows; here it is a product.
    """

    def __init__(
        self, n_class: int = 10, depth: int = 1192, k: int = 1, last_survival: float = 0.5
    ) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        p = iter(linear_schedule(1.0, last_survival, 3 * blocks))
        channels = 16 * k
        with self.init_scope():
            self.conv1 = ConvBNReLU(3, channels, 3, 1, 1)
            for stage, width in enumerate((16 * k, 32 * k, 64 * k)):
                setattr(
                    self,
                    f'res_block{stage}',
                    ChainedBlocks(
                        StochasticWeightedBlock(
                            width if i else channels, width, 1 if i or not stage else 2, next(p)
                        )
                        for i in range(blocks)
                    ),
                )
                channels = width
            self.linear = ConvBNReLU(channels, n_class, 1, 1, 0)
        self.channels = channels

    def alphas(self) -> Iterator[chainer.Parameter]:
        """Yield the weights of the residuals, which have a learning rate of their own."""
        for link in self.links():
            if isinstance(link, Alpha):
                yield link.W

    def forward(self, x: Variable) -> Variable:
        h = self.conv1(x)  # (B, 16, 32, 32)
        # with no block dropped; size and channels stay where the first block of a stage is
        h = self.res_block0(h)  # (B, 16, 32, 32)
        h = self.res_block1(h)  # (B, 32, 16, 16)
        h = self.res_block2(h)  # (B, 64, 8, 8)
        h = F.average(h, axis=(2, 3), keepdims=True)  # (B, 64, 1, 1)
        h = shortcut(h, self.channels)  # a whole stage may have been dropped
        # as the original: logits pass BN and ReLU
        return F.squeeze(self.linear(h), axis=(2, 3))
