"""Densely Connected Convolutional Networks (Huang et al. 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import Convolution2D
from chainer_zoo.links import Linear
from chainer_zoo.sequence import bn_relu
from chainer_zoo.sequence import grow
from chainer_zoo.sequence import SequentialChain
from chainer_zoo.sequence import Step


class BottleneckLayer(SequentialChain):
    """BN, ReLU, 1x1 convolution to 4 k channels, BN, ReLU, 3x3 convolution to k.

    The layer of DenseNet-B: section 3, "Bottleneck layers", of the paper.

    Args:
        in_channels (int): channels of the input.
        growth_rate (int): k.

    Input: float (B, in_channels, H, W). Output: float (B, growth_rate, H, W).
    """

    def __init__(self, in_channels: int, growth_rate: int) -> None:
        super().__init__()
        with self.init_scope():
            self.bn_relu_conv1 = BNReLUConv(in_channels, 4 * growth_rate, 1, 1, 0)
            self.bn_relu_conv2 = BNReLUConv(4 * growth_rate, growth_rate, 3, 1, 1)

    @property
    def sequence(self) -> tuple[Step, ...]:
        return self.bn_relu_conv1, self.bn_relu_conv2


class DenseBlock(chainer.Chain):
    """Layers that each see all feature maps before them: figure 1 of the paper.

    Args:
        in_channels (int): channels of the input.
        layers (int): number of layers, each BN, ReLU, 3x3 convolution.
        growth_rate (int): channels that each layer adds.
        bottleneck (bool): whether the layers are :class:`BottleneckLayer` s.

    Input: float (B, in_channels, H, W). Output: float (B, in_channels + layers * growth_rate, H,
    W), the input's channels first.
    """

    def __init__(
        self, in_channels: int, layers: int, growth_rate: int, bottleneck: bool = False
    ) -> None:
        super().__init__()
        self.layers = layers
        layer = BottleneckLayer if bottleneck else BNReLUConv
        with self.init_scope():
            for i in range(1, layers + 1):
                channels = in_channels + (i - 1) * growth_rate
                setattr(self, f'bn_relu_conv{i}', layer(channels, growth_rate))

    def forward(self, x: Variable) -> Variable:
        return grow(x, *[self[f'bn_relu_conv{i}'] for i in range(1, self.layers + 1)])


class Transition(chainer.Chain):
    """Between dense blocks: BN, ReLU, 1x1 convolution, 2x2 average pooling.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / 2, W / 2).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        with self.init_scope():
            self.bn_relu_conv = BNReLUConv(in_channels, out_channels, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        return F.average_pooling_2d(self.bn_relu_conv(x), 2, 2, 0)


class DenseNet(chainer.Chain):
    """DenseNet for CIFAR-10: section 3 of the paper; by default without bottlenecks.

    With bottlenecks and a compression of 0.5 it is DenseNet-BC, whose first convolution has twice
    the growth rate as channels.

    Args:
        n_class (int): number of classes.
        depth (int): number of layers, 3 n + 4 with n layers a dense block.
        growth_rate (int): channels that each layer adds.
        bottleneck (bool): 1x1 convolutions before the 3x3 ones; a dense block then has half as many
            layers, each of two convolutions.
        compression (float): share of the channels that a transition keeps, rounded down.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/dense_net, dense_net.py, at 6b4f60c.

    Differences:
        From the paper: transitions have a ReLU; convolutions have biases; no dropout (as in the
        paper with data augmentation).
        From the original: starting weights are drawn in another order, so a seed gives others.
    """

    def __init__(
        self,
        n_class: int = 10,
        depth: int = 40,
        growth_rate: int = 12,
        bottleneck: bool = False,
        compression: float = 1.0,
    ) -> None:
        super().__init__()
        layers = (depth - 4) // 6 if bottleneck else (depth - 2) // 3
        channels = 2 * growth_rate if bottleneck and compression < 1 else 16
        with self.init_scope():
            self.conv1 = Convolution2D(3, channels, 3, 1, 1)
            for block in (1, 2, 3):
                dense = DenseBlock(channels, layers, growth_rate, bottleneck)
                setattr(self, f'dense{block}', dense)
                channels += layers * growth_rate
                if block < 3:
                    compressed = max(1, int(compression * channels))
                    setattr(self, f'trans{block}', Transition(channels, compressed))
                    channels = compressed
            self.bn1 = BatchNormalization(channels)
            # unlike the original: it draws these weights right after conv1's, the transitions' last
            self.fc1 = Linear(channels, n_class)

    def forward(self, x: Variable) -> Variable:
        h = self.conv1(x)  # (B, 16, 32, 32)
        h = self.trans1(self.dense1(h))  # (B, 160, 16, 16)
        h = self.trans2(self.dense2(h))  # (B, 304, 8, 8)
        h = self.dense3(h)  # (B, 448, 8, 8)
        h = F.average(bn_relu(h, self.bn1), axis=(2, 3))  # (B, 448)
        return self.fc1(h)
