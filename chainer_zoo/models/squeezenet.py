"""SqueezeNet: AlexNet-level accuracy with 50x fewer parameters (Iandola et al. 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import dropout
from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import in_parallel


class Fire(chainer.Chain):
    """A 1x1 squeeze, then 1x1 and 3x3 side by side: figure 1 of the paper, with BN and ReLU first.

    Args:
        in_channels (int): channels of the input.
        squeeze (int): channels between.
        expand (int): channels of each of the two that follow.

    Input: float (B, in_channels, H, W). Output: float (B, 2 * expand, H, W), 1x1 before 3x3.
    """

    def __init__(self, in_channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        with self.init_scope():
            self.bn_relu_conv_s_1x1 = BNReLUConv(in_channels, squeeze, 1, 1, 0)
            self.bn_relu_conv_e_1x1 = BNReLUConv(squeeze, expand, 1, 1, 0)
            self.bn_relu_conv_e_3x3 = BNReLUConv(squeeze, expand, 3, 1, 1)

    def forward(self, x: Variable) -> Variable:
        h = self.bn_relu_conv_s_1x1(x)
        # as the original: each expansion has a normalization of its own
        return in_parallel((h, self.bn_relu_conv_e_1x1), (h, self.bn_relu_conv_e_3x3))


class SqueezeNet(chainer.Chain):
    """SqueezeNet with simple bypass: table 1 and figure 2 (middle) of the paper.

    Args:
        n_class (int): number of classes.

    Input: float32 images (B, 3, 128, 128). Output: float32 logits (B, n_class).

    Source: nutszebra/squeeze_net, squeeze_net.py, at 85a0f99.

    Differences:
        From the paper: BN, and in the order BN, ReLU, convolution, also before the first fire
        module and the last convolution; no ReLU after that one. Convolution and pooling are
        padded, for images of 128 pixels instead of 224.
        From the original: none.
    """

    def __init__(self, n_class: int = 10) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1 = Convolution2D(3, 96, 7, 2, 2)
            self.fire2 = Fire(96, 16, 64)
            self.fire3 = Fire(128, 16, 64)
            self.fire4 = Fire(128, 32, 128)
            self.fire5 = Fire(256, 32, 128)
            self.fire6 = Fire(256, 48, 192)
            self.fire7 = Fire(384, 48, 192)
            self.fire8 = Fire(384, 64, 256)
            self.fire9 = Fire(512, 64, 256)
            self.bn_relu_conv10 = BNReLUConv(512, n_class, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        h = self.conv1(x)  # (B, 96, 63, 63)
        h = F.max_pooling_2d(h, 3, 2, 1)  # (B, 96, 32, 32)
        h = self.fire2(h)  # (B, 128, 32, 32)
        h = self.fire3(h) + h
        h = self.fire4(h)  # (B, 256, 32, 32)
        h = F.max_pooling_2d(h, 3, 2, 1)  # (B, 256, 17, 17)
        h = self.fire5(h) + h
        h = self.fire6(h)  # (B, 384, 17, 17)
        h = self.fire7(h) + h
        h = self.fire8(h)  # (B, 512, 17, 17)
        h = F.max_pooling_2d(h, 3, 2, 1)  # (B, 512, 9, 9)
        h = self.fire9(h) + h
        h = self.bn_relu_conv10(dropout(h, 0.5))  # (B, n_class, 9, 9)
        return F.average(h, axis=(2, 3))
