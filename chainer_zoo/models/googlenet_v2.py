"""Batch Normalization: Accelerating Deep Network Training (Ioffe et al. 2015)."""

from __future__ import annotations

from typing import Callable

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import Linear
from chainer_zoo.sequence import in_parallel


class Inception(chainer.Chain):
    """1x1, 3x3, two 3x3 and pooling side by side: the module of figure 5 of the paper.

    With stride 2 there is no 1x1 path, and the pooled input passes through without a projection.

    Args:
        in_channels (int): channels of the input.
        conv1x1, reduce3x3, conv3x3, reduce5x5, conv5x5, pool_proj (ints): channels, in the order
            of the figure's columns; 5x5 is "double 3x3". The first and last are 0 with stride 2.
        pool (callable): :func:`chainer.functions.average_pooling_2d` or ``max_pooling_2d``.
        stride (int): 1 or 2.

    Input: float (B, in_channels, H, W); with stride 2 and max pooling H and W must be odd.
    Output: float (B, C, H / stride, W / stride), rounded up; C is in the order 1x1, 3x3, double
    3x3, pool.
    """

    def __init__(
        self,
        in_channels: int,
        conv1x1: int,
        reduce3x3: int,
        conv3x3: int,
        reduce5x5: int,
        conv5x5: int,
        pool_proj: int,
        pool: Callable[..., Variable] = F.average_pooling_2d,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.stride = stride
        with self.init_scope():
            self.reduce3x3 = ConvBNReLU(in_channels, reduce3x3, 1, 1, 0)
            self.conv3x3 = ConvBNReLU(reduce3x3, conv3x3, 3, stride, 1)
            self.reduce5x5 = ConvBNReLU(in_channels, reduce5x5, 1, 1, 0)
            self.conv5x5_1 = ConvBNReLU(reduce5x5, conv5x5, 3, 1, 1)
            self.conv5x5_2 = ConvBNReLU(conv5x5, conv5x5, 3, stride, 1)
            if stride == 1:
                self.conv1x1 = ConvBNReLU(in_channels, conv1x1, 1, 1, 0)
                self.pool_proj = ConvBNReLU(in_channels, pool_proj, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        single = (x, self.reduce3x3, self.conv3x3)
        double = (x, self.reduce5x5, self.conv5x5_1, self.conv5x5_2)
        pooled = self.pool(x, 3, self.stride, 1)
        if self.stride == 2:
            return in_parallel(single, double, (pooled,))
        return in_parallel((x, self.conv1x1), single, double, (pooled, self.pool_proj))


class GoogLeNetV2(chainer.Chain):
    """Inception with batch normalization: appendix and figure 5 of the paper.

    Args:
        n_class (int): number of classes.

    Input: float32 images (B, 3, H, W), 224 pixels a side in training, 384 at test.
    Output: float32 logits (B, n_class).

    Source: nutszebra/googlenet_v2, googlenet_v2.py, at 0968123.

    Differences:
        From the paper: the first convolution is an ordinary one, not separable; the first three are
        in the order BN, ReLU, convolution, so pixels darker than their channel's mean are cut off,
        and the third's output is pooled without ReLU; 4e pools by average, not by maximum; 4c gives
        the 608 channels that the figure's columns add up to, where its row says 576; pools are
        padded and cover the whole map: 57, 29, 15 and 8 pixels a side instead of 56, 28, 14 and 7;
        no auxiliary classifiers; convolutions have biases.
        From the original: none.
    """

    def __init__(self, n_class: int = 10) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1 = BNReLUConv(3, 64, 7, 2, 3)
            self.conv2_1x1 = BNReLUConv(64, 64, 1, 1, 0)
            self.conv2_3x3 = BNReLUConv(64, 192, 3, 1, 1)
            self.inception3a = Inception(192, 64, 64, 64, 64, 96, 32)
            self.inception3b = Inception(256, 64, 64, 96, 64, 96, 64)
            self.inception3c = Inception(320, 0, 128, 160, 64, 96, 0, F.max_pooling_2d, 2)
            self.inception4a = Inception(576, 224, 64, 96, 96, 128, 128)
            self.inception4b = Inception(576, 192, 96, 128, 96, 128, 128)
            self.inception4c = Inception(576, 160, 128, 160, 128, 160, 128)
            self.inception4d = Inception(608, 96, 128, 192, 160, 192, 128)
            # as the original: average pooling, where the paper has max pooling
            self.inception4e = Inception(608, 0, 128, 192, 192, 256, 0, stride=2)
            self.inception5a = Inception(1056, 352, 192, 320, 160, 224, 128)
            self.inception5b = Inception(1024, 352, 192, 320, 192, 224, 128, F.max_pooling_2d)
            self.linear = Linear(1024, n_class)

    def forward(self, x: Variable) -> Variable:
        # as the original: BN and ReLU act on the images, and there are none before each pool
        h = self.conv1(x)  # (B, 64, 112, 112)
        h = F.max_pooling_2d(h, 3, 2, 1)  # (B, 64, 57, 57)
        h = self.conv2_1x1(h)
        h = self.conv2_3x3(h)  # (B, 192, 57, 57)
        h = F.max_pooling_2d(h, 3, 2, 1)  # (B, 192, 29, 29)
        h = self.inception3a(h)
        h = self.inception3b(h)
        h = self.inception3c(h)  # (B, 576, 15, 15)
        h = self.inception4a(h)
        h = self.inception4b(h)
        h = self.inception4c(h)
        h = self.inception4d(h)
        h = self.inception4e(h)  # (B, 1056, 8, 8)
        h = self.inception5a(h)
        h = self.inception5b(h)  # (B, 1024, 8, 8)
        return self.linear(F.average(h, axis=(2, 3)))
