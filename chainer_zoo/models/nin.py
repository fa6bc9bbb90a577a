"""Network In Network (Lin et al. 2013), as Caffe's reference network and with BN."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import dropout
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import SequentialChain
from chainer_zoo.sequence import Step


class MLPConv(SequentialChain):
    """A convolution and a perceptron of two layers slid over its map: section 3.1 of the paper.

    Args:
        in_channels (int): channels of the input.
        channels (three ints): channels after the convolution and after each 1x1 convolution.
        ksize (int): kernel of the first convolution, odd; the map keeps its size.

    Input: float (B, in_channels, H, W). Output: float (B, channels[2], H, W), at least 0.
    """

    def __init__(self, in_channels: int, channels: tuple[int, int, int], ksize: int) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1 = Convolution2D(in_channels, channels[0], ksize, 1, ksize // 2)
            self.conv2 = Convolution2D(channels[0], channels[1], 1)
            self.conv3 = Convolution2D(channels[1], channels[2], 1)

    @property
    def sequence(self) -> tuple[Step, ...]:
        return self.conv1, F.relu, self.conv2, F.relu, self.conv3, F.relu


class MLPBNReLUConv(MLPConv):
    """An :class:`MLPConv` with BN and ReLU before each convolution instead of ReLU after it.

    Output: float (B, channels[2], H, W), of any sign.
    """

    def __init__(self, in_channels: int, channels: tuple[int, int, int], ksize: int) -> None:
        super().__init__(in_channels, channels, ksize)
        with self.init_scope():
            self.bn1 = BatchNormalization(in_channels)
            self.bn2 = BatchNormalization(channels[0])
            self.bn3 = BatchNormalization(channels[1])

    @property
    def sequence(self) -> tuple[Step, ...]:
        layer1 = self.bn1, F.relu, self.conv1
        layer2 = self.bn2, F.relu, self.conv2
        layer3 = self.bn3, F.relu, self.conv3
        return layer1 + layer2 + layer3


class NIN(chainer.Chain):
    """Three mlpconv layers for CIFAR-10: figure 2 and section 4 of the paper.

    Args:
        n_class (int): number of classes.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class), at least 0.

    Source: nutszebra/network_in_network, network_in_network.py, at 0760dc2.

    Differences:
        From the paper (whose figures leave sizes open; Caffe's reference network states them): the
        average pooling leaves out the last column and row, so its map is 7x7 instead of 8x8.
        From the original: none.
    """

    block = MLPConv

    def __init__(self, n_class: int = 10) -> None:
        super().__init__()
        with self.init_scope():
            self.mlpconv1 = self.block(3, (192, 160, 96), 5)
            self.mlpconv2 = self.block(96, (192, 192, 192), 5)
            self.mlpconv3 = self.block(192, (192, 192, n_class), 3)

    def forward(self, x: Variable) -> Variable:
        h = self.mlpconv1(x)  # (B, 96, 32, 32)
        h = F.max_pooling_2d(h, 3, 2)  # (B, 96, 16, 16)
        h = self.mlpconv2(dropout(h, 0.5))  # (B, 192, 16, 16)
        # as the original: max pooling covers the whole map, average pooling only whole windows
        h = F.average_pooling_2d(h, 3, 2)  # (B, 192, 7, 7)
        h = self.mlpconv3(dropout(h, 0.5))  # (B, n_class, 7, 7)
        return F.average(h, axis=(2, 3))


class NINBN(NIN):
    """:class:`NIN` with batch normalization, in the order BN, ReLU, convolution.

    Args:
        n_class (int): number of classes.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/network_in_network_with_bn, network_in_network_with_bn.py, at dff8132.

    Differences:
        From the paper: it has no BN. The first BN and ReLU act on the images themselves, so
        pixels darker than their channel's mean are cut off; there is no ReLU after the last
        convolution. The average pooling is that of :class:`NIN`.
        From the original: none.
    """

    block = MLPBNReLUConv
