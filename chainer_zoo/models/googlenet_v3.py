"""Rethinking the Inception Architecture for Computer Vision (Szegedy et al. 2015)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import dropout
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import Linear
from chainer_zoo.sequence import in_parallel
from chainer_zoo.sequence import in_sequence


class InceptionA(chainer.Chain):
    """The module of figure 5, and with stride 2 the grid reduction of figure 10 of the paper.

    Args:
        in_channels (int): channels of the input.
        conv5x5 (three ints): channels of 1x1, 3x3, 3x3: a 5x5 in two steps.
        conv3x3 (two ints): channels of 1x1, 3x3.
        pool_proj (int): channels of the projection after average pooling, with stride 1.
        conv1x1 (int): channels of the 1x1 path, with stride 1.
        stride (int): 1 or 2; with 2 the last 3x3 of each path and a max pooling have it, and
            there is neither projection nor 1x1 path.

    Input: float (B, in_channels, H, W); with stride 2 H and W must be odd.
    Output: float (B, C, H / stride, W / stride), rounded up; C is in the order of 5x5, 3x3, pool,
    1x1.
    """

    def __init__(
        self,
        in_channels: int,
        conv5x5: tuple[int, int, int],
        conv3x3: tuple[int, int],
        pool_proj: int = 0,
        conv1x1: int = 0,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.stride = stride
        with self.init_scope():
            self.conv5x5_1 = ConvBNReLU(in_channels, conv5x5[0], 1, 1, 0)
            self.conv5x5_2 = ConvBNReLU(conv5x5[0], conv5x5[1], 3, 1, 1)
            self.conv5x5_3 = ConvBNReLU(conv5x5[1], conv5x5[2], 3, stride, 1)
            self.conv3x3_1 = ConvBNReLU(in_channels, conv3x3[0], 1, 1, 0)
            self.conv3x3_2 = ConvBNReLU(conv3x3[0], conv3x3[1], 3, stride, 1)
            if stride == 1:
                self.conv_pool = ConvBNReLU(in_channels, pool_proj, 1, 1, 0)
                self.conv1x1 = ConvBNReLU(in_channels, conv1x1, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        path5x5 = (x, self.conv5x5_1, self.conv5x5_2, self.conv5x5_3)
        path3x3 = (x, self.conv3x3_1, self.conv3x3_2)
        if self.stride == 2:
            return in_parallel(path5x5, path3x3, (F.max_pooling_2d(x, 3, 2, 1),))
        return in_parallel(
            path5x5,
            path3x3,
            (F.average_pooling_2d(x, 3, 1, 1), self.conv_pool),
            (x, self.conv1x1),
        )


class InceptionB(chainer.Chain):
    """The module of figure 6 of the paper: 7x7 as 1x7 and 7x1. Every path ends with 192 channels.

    Args:
        in_channels (int): channels of the input.
        width (int): channels inside the paths.

    Input: float (B, in_channels, H, W). Output: float (B, 768, H, W), in the order double 7x7,
    7x7, pool, 1x1.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        with self.init_scope():
            self.double_convnxn_1 = ConvBNReLU(in_channels, width, 1, 1, 0)
            self.double_convnxn_2 = ConvBNReLU(width, width, (1, 7), 1, (0, 3))
            self.double_convnxn_3 = ConvBNReLU(width, width, (7, 1), 1, (3, 0))
            self.double_convnxn_4 = ConvBNReLU(width, width, (1, 7), 1, (0, 3))
            self.double_convnxn_5 = ConvBNReLU(width, 192, (7, 1), 1, (3, 0))
            self.convnxn_1 = ConvBNReLU(in_channels, width, 1, 1, 0)
            self.convnxn_2 = ConvBNReLU(width, width, (1, 7), 1, (0, 3))
            self.convnxn_3 = ConvBNReLU(width, 192, (7, 1), 1, (3, 0))
            self.conv_pool = ConvBNReLU(in_channels, 192, 1, 1, 0)
            self.conv1x1 = ConvBNReLU(in_channels, 192, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        return in_parallel(
            (x, *[self[f'double_convnxn_{i}'] for i in (1, 2, 3, 4, 5)]),
            (x, self.convnxn_1, self.convnxn_2, self.convnxn_3),
            (F.average_pooling_2d(x, 3, 1, 1), self.conv_pool),
            (x, self.conv1x1),
        )


class ReductionB(chainer.Chain):
    """The grid reduction after the modules of figure 6: section 5 and figure 10 of the paper.

    Args:
        in_channels (int): channels of the input.

    Input: float (B, in_channels, H, W), H and W odd.
    Output: float (B, 512 + in_channels, H / 2, W / 2), rounded up, in the order 7x7 and 3x3, 3x3,
    pool.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        with self.init_scope():
            self.double_convnxn_1 = ConvBNReLU(in_channels, 192, 1, 1, 0)
            self.double_convnxn_2 = ConvBNReLU(192, 192, (1, 7), 1, (0, 3))
            self.double_convnxn_3 = ConvBNReLU(192, 192, (7, 1), 1, (3, 0))
            self.double_convnxn_4 = ConvBNReLU(192, 192, 3, 2, 1)
            self.convnxn_1 = ConvBNReLU(in_channels, 192, 1, 1, 0)
            self.convnxn_2 = ConvBNReLU(192, 320, 3, 2, 1)

    def forward(self, x: Variable) -> Variable:
        return in_parallel(
            (x, *[self[f'double_convnxn_{i}'] for i in (1, 2, 3, 4)]),
            (x, self.convnxn_1, self.convnxn_2),
            (F.max_pooling_2d(x, 3, 2, 1),),
        )


class InceptionC(chainer.Chain):
    """The module of figure 7 of the paper: paths that end in 1x3 and 3x1 side by side.

    Args:
        in_channels (int): channels of the input.

    Input: float (B, in_channels, H, W). Output: float (B, 2048, H, W), in the order 3x3 with its
    two ends, 1x1 with its two ends, pool, 1x1.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        with self.init_scope():
            self.conv3x3U_1 = ConvBNReLU(in_channels, 448, 1, 1, 0)
            self.conv3x3U_2 = ConvBNReLU(448, 384, 3, 1, 1)
            self.conv3x3U_3 = ConvBNReLU(384, 384, (1, 3), 1, (0, 1))
            self.conv3x3U_4 = ConvBNReLU(384, 384, (3, 1), 1, (1, 0))
            self.conv1x1U_1 = ConvBNReLU(in_channels, 384, 1, 1, 0)
            self.conv1x1U_2 = ConvBNReLU(384, 384, (1, 3), 1, (0, 1))
            self.conv1x1U_3 = ConvBNReLU(384, 384, (3, 1), 1, (1, 0))
            self.conv_pool = ConvBNReLU(in_channels, 192, 1, 1, 0)
            self.conv1x1 = ConvBNReLU(in_channels, 320, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        a = in_sequence(x, self.conv3x3U_1, self.conv3x3U_2)
        b = self.conv1x1U_1(x)
        return in_parallel(
            (a, self.conv3x3U_3),
            (a, self.conv3x3U_4),
            (b, self.conv1x1U_2),
            (b, self.conv1x1U_3),
            (F.average_pooling_2d(x, 3, 1, 1), self.conv_pool),
            (x, self.conv1x1),
        )


class GoogLeNetV3(chainer.Chain):
    """Inception v3: table 1 of the paper.

    Args:
        n_class (int): number of classes.

    Input: float32 images (B, 3, H, W), 224 pixels a side in training, 384 at test.
    Output: float32 logits (B, n_class).

    Source: nutszebra/googlenet_v3, googlenet_v3.py, at dbd50c6.

    Differences:
        From the paper: images of 224 pixels instead of 299, so stages of 25, 13 and 7 pixels a
        side instead of 35, 17 and 8; convolutions and pools with stride 2 are padded; the
        convolutions after the first pool have 64, 80 and 192 channels, where table 1 leads from
        64 by 80 and 192 to 288; a 1x1 convolution before the 3x3 with stride 2 of the first grid
        reduction; no auxiliary classifier and no label smoothing; convolutions have biases.
        From the original: none.
    """

    def __init__(self, n_class: int = 10) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1 = ConvBNReLU(3, 32, 3, 2, 1)
            self.conv2 = ConvBNReLU(32, 32, 3, 1, 0)
            self.conv3 = ConvBNReLU(32, 64, 3, 1, 1)
            self.conv4 = ConvBNReLU(64, 64, 3, 1, 0)
            self.conv5 = ConvBNReLU(64, 80, 3, 2, 1)
            self.conv6 = ConvBNReLU(80, 192, 3, 1, 0)
            self.inception_f5_1 = InceptionA(192, (64, 96, 96), (48, 64), 32, 64)
            self.inception_f5_2 = InceptionA(256, (64, 96, 96), (48, 64), 64, 64)
            self.inception_f5_3 = InceptionA(288, (64, 96, 96), (288, 384), stride=2)
            self.inception_f6_1 = InceptionB(768, 128)
            self.inception_f6_2 = InceptionB(768, 160)
            self.inception_f6_3 = InceptionB(768, 160)
            self.inception_f6_4 = InceptionB(768, 192)
            self.inception_f6_5 = ReductionB(768)
            self.inception_f7_1 = InceptionC(1280)
            self.inception_f7_2 = InceptionC(2048)
            self.linear = Linear(2048, n_class)

    def forward(self, x: Variable) -> Variable:
        h = self.conv1(x)  # (B, 32, 112, 112)
        h = self.conv2(h)  # (B, 32, 110, 110)
        h = self.conv3(h)  # (B, 64, 110, 110)
        h = F.max_pooling_2d(h, 3, 2, 1)  # (B, 64, 56, 56)
        h = self.conv4(h)  # (B, 64, 54, 54)
        h = self.conv5(h)  # (B, 80, 27, 27)
        h = self.conv6(h)  # (B, 192, 25, 25)
        h = self.inception_f5_1(h)  # (B, 256, 25, 25)
        h = self.inception_f5_2(h)  # (B, 288, 25, 25)
        h = self.inception_f5_3(h)  # (B, 768, 13, 13)
        h = self.inception_f6_1(h)
        h = self.inception_f6_2(h)
        h = self.inception_f6_3(h)
        h = self.inception_f6_4(h)
        h = self.inception_f6_5(h)  # (B, 1280, 7, 7)
        h = self.inception_f7_1(h)  # (B, 2048, 7, 7)
        h = self.inception_f7_2(h)
        h = F.average(h, axis=(2, 3))
        return self.linear(dropout(h, 0.2))
