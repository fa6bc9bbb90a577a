"""Inception-v4, Inception-ResNet and the Impact of Residual Connections (Szegedy et al. 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
import numpy as np
from chainer import Variable

from chainer_zoo.functions import dropout
from chainer_zoo.links import ChainedBlocks
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import Linear
from chainer_zoo.sequence import in_parallel


def _path(channels, *layers):
    """Return convolutions one after the other, each with BN and ReLU and without bias.

    Args:
        channels (int): channels of the input.
        layers (tuples): output channels and kernel size (int or (height, width)) of each, which
            then keeps the size of the map; or these, stride and pad.
    """
    blocks = []
    for out_channels, ksize, *rest in layers:
        same = ksize // 2 if isinstance(ksize, int) else tuple(k // 2 for k in ksize)
        stride, pad = rest or (1, same)
        blocks.append(ConvBNReLU(channels, out_channels, ksize, stride, pad, nobias=True))
        channels = out_channels
    return _chain(blocks)


def _chain(blocks):
    """Return blocks one after the other, called ``0``, ``1``, ..."""
    return ChainedBlocks(blocks, prefix='')


def _average(x):
    """Return the average of 3x3 neighbours; those outside the image are not counted."""

    def counted(size):
        count = np.full(size, 3)
        count[0] -= 1
        count[-1] -= 1
        return count

    share = 9.0 / np.outer(counted(x.shape[2]), counted(x.shape[3]))
    # not average_pooling_nd with pad_value=None, whose ONNX form counts the padding
    y = F.average_pooling_2d(x, 3, 1, 1)
    return y * y.xp.asarray(share[None, None], dtype=y.dtype)


class Stem(chainer.Chain):
    """The first part: figure 3 of the paper.

    Args:
        strides (bool): True for the paper's strides and its layers without padding ("V"). False:
            stride 1 everywhere, and every layer padded so that it keeps the image's size.

    Input: float (B, 3, H, W). Output: float (B, 384, H, W), with strides at 299 pixels
    (B, 384, 35, 35).
    """

    def __init__(self, strides: bool = True) -> None:
        super().__init__()
        self.stride = stride = 2 if strides else 1
        self.pad = pad = 0 if strides else 1
        with self.init_scope():
            self.conv1 = _path(3, (32, 3, stride, pad), (32, 3, 1, pad), (64, 3))
            self.conv2 = _path(64, (96, 3, stride, pad))
            self.conv3_1 = _path(160, (64, 1), (96, 3, 1, pad))
            self.conv3_2 = _path(160, (64, 1), (64, (1, 7)), (64, (7, 1)), (96, 3, 1, pad))
            self.conv4 = _path(192, (192, 3, stride, pad))

    def _pool(self, x):
        return F.max_pooling_2d(x, 3, self.stride, self.pad, cover_all=False)

    def forward(self, x: Variable) -> Variable:
        h = self.conv1(x)  # at 299 pixels (B, 64, 147, 147)
        h = in_parallel((self._pool(h),), (h, self.conv2))  # (B, 160, 73, 73)
        h = in_parallel((h, self.conv3_1), (h, self.conv3_2))  # (B, 192, 71, 71)
        return in_parallel((h, self.conv4), (self._pool(h),))  # (B, 384, 35, 35)


class InceptionA(chainer.Chain):
    """Figure 4 of the paper.

    Input and output: float (B, 384, H, W).
    """

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1x1 = _path(384, (96, 1))
            self.conv3x3 = _path(384, (64, 1), (96, 3))
            self.double3x3 = _path(384, (64, 1), (96, 3), (96, 3))
            self.pool = _path(384, (96, 1))

    def forward(self, x: Variable) -> Variable:
        return in_parallel(
            (x, self.conv1x1), (x, self.conv3x3), (x, self.double3x3), (_average(x), self.pool)
        )


class ReductionA(chainer.Chain):
    """Figure 7 of the paper, with k, l, m, n = 192, 224, 256, 384 of table 1.

    Input: float (B, 384, H, W). Output: float (B, 1024, (H - 1) // 2, (W - 1) // 2).
    """

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv3x3 = _path(384, (384, 3, 2, 0))
            self.double3x3 = _path(384, (192, 1), (224, 3), (256, 3, 2, 0))

    def forward(self, x: Variable) -> Variable:
        pooled = F.max_pooling_2d(x, 3, 2, 0, cover_all=False)
        return in_parallel((x, self.conv3x3), (x, self.double3x3), (pooled,))


class InceptionB(chainer.Chain):
    """Figure 5 of the paper.

    Input and output: float (B, 1024, H, W).
    """

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1x1 = _path(1024, (384, 1))
            self.conv7x7 = _path(1024, (192, 1), (224, (1, 7)), (256, (7, 1)))
            self.double7x7 = _path(
                1024, (192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7))
            )
            self.pool = _path(1024, (128, 1))

    def forward(self, x: Variable) -> Variable:
        return in_parallel(
            (x, self.conv1x1), (x, self.conv7x7), (x, self.double7x7), (_average(x), self.pool)
        )


class ReductionB(chainer.Chain):
    """Figure 8 of the paper.

    Input: float (B, 1024, H, W). Output: float (B, 1536, (H - 1) // 2, (W - 1) // 2).
    """

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv3x3 = _path(1024, (192, 1), (192, 3, 2, 0))
            self.conv7x7 = _path(1024, (256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3, 2, 0))

    def forward(self, x: Variable) -> Variable:
        pooled = F.max_pooling_2d(x, 3, 2, 0, cover_all=False)
        return in_parallel((x, self.conv3x3), (x, self.conv7x7), (pooled,))


class InceptionC(chainer.Chain):
    """Figure 6 of the paper.

    Input and output: float (B, 1536, H, W).
    """

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1x1 = _path(1536, (256, 1))
            self.conv3x3 = _path(1536, (384, 1))
            self.conv3x3_wide = _path(384, (256, (1, 3)))
            self.conv3x3_high = _path(384, (256, (3, 1)))
            self.double3x3 = _path(1536, (384, 1), (448, (3, 1)), (512, (1, 3)))
            self.double3x3_wide = _path(512, (256, (1, 3)))
            self.double3x3_high = _path(512, (256, (3, 1)))
            self.pool = _path(1536, (256, 1))

    def forward(self, x: Variable) -> Variable:
        a = self.conv3x3(x)
        b = self.double3x3(x)
        return in_parallel(
            (x, self.conv1x1),
            (a, self.conv3x3_wide),
            (a, self.conv3x3_high),
            (b, self.double3x3_wide),
            (b, self.double3x3_high),
            (_average(x), self.pool),
        )


class InceptionV4(chainer.Chain):
    """Inception-v4: section 3.1 and figures 3 to 9 of the paper.

    At 1000 classes and either size it has 42,679,816 parameters: the convolutions' W, BN's gamma
    and beta, W and b of the last layer. That is what the ports to PyTorch count (42.68 M). The
    authors' own code has BN without gamma: 31,584 fewer.

    Args:
        n_class (int): number of classes.
        size (int): 299 for the paper's network. 32 for CIFAR-10: the same layers and parameters,
            but the stem with stride 1 and padding in place of its three strides, so that the
            Inception modules see 32, 15 and 7 pixels a side, close to the paper's 35, 17 and 8.

    Input: float32 images (B, 3, size, size). Output: float32 logits (B, n_class).

    Source: arXiv 1602.07261. Where figures leave it open or disagree with their text (the order of
    1x7 and 7x1, the padding), the authors' TensorFlow code, slim/nets/inception_v4.py.

    Differences:
        From the paper: BN has eps 2e-5 and keeps 0.9 of its running statistics, as all models here
        (the authors' code: 0.001 and 0.9997), and a gamma. No auxiliary classifier, which only
        the authors' code has. Weights start as the article's do.
    """

    def __init__(self, n_class: int = 10, size: int = 299) -> None:
        super().__init__()
        with self.init_scope():
            self.stem = Stem(strides=size == 299)
            self.inception_a = _chain(InceptionA() for _ in range(4))
            self.reduction_a = ReductionA()
            self.inception_b = _chain(InceptionB() for _ in range(7))
            self.reduction_b = ReductionB()
            self.inception_c = _chain(InceptionC() for _ in range(3))
            self.linear = Linear(1536, n_class)

    def forward(self, x: Variable) -> Variable:
        h = self.inception_a(self.stem(x))  # (B, 384, 35, 35), of 32 pixels (B, 384, 32, 32)
        h = self.inception_b(self.reduction_a(h))  # (B, 1024, 17, 17), (B, 1024, 15, 15)
        h = self.inception_c(self.reduction_b(h))  # (B, 1536, 8, 8), (B, 1536, 7, 7)
        h = F.average(h, axis=(2, 3))  # (B, 1536)
        return self.linear(dropout(h, 0.2))
