"""Xception: Deep Learning with Depthwise Separable Convolutions (Chollet 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import dropout
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import ChainedBlocks
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import Convolution2D
from chainer_zoo.links import Linear
from chainer_zoo.links import SeparableConvolution
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import SequentialChain
from chainer_zoo.sequence import Skip
from chainer_zoo.sequence import Step


class SeparableBN(SequentialChain):
    """Separable 3x3 convolution, then BN.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = SeparableConvolution(in_channels, out_channels)
            self.bn = BatchNormalization(out_channels)

    @property
    def sequence(self) -> tuple[Step, ...]:
        return self.conv, self.bn


class SeparableBNReLU(SeparableBN):
    """Separable 3x3 convolution, BN, ReLU."""

    @property
    def sequence(self) -> tuple[Step, ...]:
        return self.conv, self.bn, F.relu


class Module(chainer.Chain):
    """Separable convolutions with a residual connection around them: figure 5 of the paper.

    Args:
        in_channels (int): channels of the input.
        channels (tuple of ints): output channels of each separable convolution.
        stride (int): of the max pooling after them and of the 1x1 convolution on the shortcut;
            None for a module of the middle flow, which has neither.
        first_relu (bool): whether a ReLU precedes the first separable convolution.

    Input: float (B, in_channels, H, W).
    Output: float (B, channels[-1], H / stride, W / stride), rounded up.
    """

    def __init__(
        self,
        in_channels: int,
        channels: tuple[int, ...],
        stride: int | None = None,
        first_relu: bool = True,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.first_relu = first_relu
        with self.init_scope():
            *inner, last = channels
            self.inner = ChainedBlocks(
                (SeparableBNReLU(c_in, c) for c_in, c in zip([in_channels, *inner], inner)),
                prefix='',
            )
            self.last = SeparableBN(inner[-1], last)
            if stride is not None:
                self.shortcut = Convolution2D(in_channels, last, 1, stride, nobias=True)
                self.shortcut_bn = BatchNormalization(last)

    def forward(self, x: Variable) -> Variable:
        h = F.relu(x) if self.first_relu else x
        if self.stride is None:
            return in_sequence(h, self.inner, self.last, Skip(x))
        h = in_sequence(h, self.inner, self.last)
        h = F.max_pooling_2d(h, 3, self.stride, 1, cover_all=False)
        return in_sequence(x, self.shortcut, self.shortcut_bn, Skip(h))


class Xception(chainer.Chain):
    """Xception: section 3 and figure 5 of the paper.

    At 1000 classes and either size it has 22,855,952 parameters, the paper's table 3: the
    convolutions' W, BN's gamma and beta, W and b of the last layer.

    Args:
        n_class (int): number of classes.
        size (int): 299 for the paper's network. 32 for CIFAR-10: the same layers and parameters,
            but the first three of its strides (of the first convolution and of two modules) are 1
            and the first two convolutions are padded, so that the middle flow sees 16 pixels a
            side and the end 8, close to the paper's 19 and 10.

    Input: float32 images (B, 3, size, size). Output: float32 logits (B, n_class).

    Source: arXiv 1610.02357; padding of the first convolutions by its author's Keras code.

    Differences:
        From the paper: BN has eps 2e-5 and keeps 0.9 of its running statistics, as all models here
        (its author's code: 0.001 and 0.99). Max pooling is padded on both sides, in step with the
        shortcut; its author's code pads images of even size, as the 74 pixels before the second
        module, at the end only. Weights start as the article's do.
    """

    def __init__(self, n_class: int = 10, size: int = 299) -> None:
        super().__init__()
        stride, pad = (2, 0) if size == 299 else (1, 1)
        with self.init_scope():
            self.conv1 = ConvBNReLU(3, 32, 3, stride, pad, nobias=True)
            self.conv2 = ConvBNReLU(32, 64, 3, 1, pad, nobias=True)
            self.entry1 = Module(64, (128, 128), stride, first_relu=False)
            self.entry2 = Module(128, (256, 256), stride)
            self.entry3 = Module(256, (728, 728), 2)
            self.middle = ChainedBlocks((Module(728, (728, 728, 728)) for _ in range(8)), prefix='')
            self.exit = Module(728, (728, 1024), 2)
            self.conv3 = SeparableBNReLU(1024, 1536)
            self.conv4 = SeparableBNReLU(1536, 2048)
            self.linear = Linear(2048, n_class)

    def forward(self, x: Variable) -> Variable:
        h = self.conv2(self.conv1(x))  # (B, 64, 147, 147), of 32 pixels (B, 64, 32, 32)
        h = self.entry2(self.entry1(h))  # (B, 256, 37, 37), (B, 256, 32, 32)
        h = self.middle(self.entry3(h))  # (B, 728, 19, 19), (B, 728, 16, 16)
        h = self.conv4(self.conv3(self.exit(h)))  # (B, 2048, 10, 10), (B, 2048, 8, 8)
        h = F.average(h, axis=(2, 3))  # (B, 2048)
        return self.linear(dropout(h, 0.5))
