"""Resnet in Resnet: Generalizing Residual Architectures (Targ, Almeida, Lyman 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import residual_add
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import bn_relu


class GeneralizedLayer(chainer.Chain):
    """One layer of two streams: figure 1 (b), equations (1) and (2) of the paper.

    The residual stream has a shortcut over the layer, the transient stream has none; each sees
    both through convolutions of its own.

    Args:
        in_channels (int): channels of each input stream.
        out_channels (int): channels of each output stream.
        stride (int): of the convolutions and the shortcut.

    Input: two float arrays (B, in_channels, H, W), residual and transient.
    Output: two float arrays (B, out_channels, H / stride, W / stride), at least 0.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        with self.init_scope():
            # conv1 leads into the residual stream, conv2 into the transient one.
            self.residual_conv1 = Convolution2D(in_channels, out_channels, 3, stride, 1)
            self.residual_conv2 = Convolution2D(in_channels, out_channels, 3, stride, 1)
            self.transient_conv1 = Convolution2D(in_channels, out_channels, 3, stride, 1)
            self.transient_conv2 = Convolution2D(in_channels, out_channels, 3, stride, 1)
            self.residual_bn = BatchNormalization(out_channels)
            self.transient_bn = BatchNormalization(out_channels)

    def forward(self, residual: Variable, transient: Variable) -> tuple[Variable, Variable]:
        h = self.residual_conv1(residual) + self.transient_conv1(transient)
        h = residual_add(h, residual, self.stride)
        t = self.residual_conv2(residual) + self.transient_conv2(transient)
        return bn_relu(h, self.residual_bn), bn_relu(t, self.transient_bn)


class RiRBlock(chainer.Chain):
    """Two generalized layers with a shortcut around both: figure 1 (d) of the paper.

    Args:
        in_channels (int): channels of each input stream.
        out_channels (int): channels of each output stream.
        stride (int): of the second layer and the block's shortcut.

    Input: two float arrays (B, in_channels, H, W), residual and transient.
    Output: two float arrays (B, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        with self.init_scope():
            self.resinit0 = GeneralizedLayer(in_channels, out_channels)
            # as the original: the second layer has the stride, though the first adds the channels
            self.resinit1 = GeneralizedLayer(out_channels, out_channels, stride)

    def forward(self, residual: Variable, transient: Variable) -> tuple[Variable, Variable]:
        h, t = self.resinit1(*self.resinit0(residual, transient))
        # as the original: only the residual stream has the block's shortcut, no ReLU after it
        return residual_add(h, residual, self.stride), t


class RiR(chainer.Chain):
    """The 18-layer wide Resnet in Resnet for CIFAR-10: section 3 of the paper.

    Args:
        n_class (int): number of classes.
        channel (int): channels of the first stage, both streams together; an even number.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class), at least 0.

    Source: nutszebra/resnet_in_resnet, resnet_in_resnet.py, at 5db6164.

    Differences:
        From the paper: each stream starts with a convolution, BN and ReLU of its own; shortcuts
        pick pixels and append zero channels; stride in a block's second layer; the last layer is
        a 1x1 convolution with BN and ReLU before the global average, so logits are at least 0;
        convolutions have biases.
        From the original: none.
    """

    #: Channels of a block, in those of the first stage, and its stride.
    BLOCKS = ((1, 1), (1, 1), (2, 2), (2, 1), (2, 1), (4, 2), (4, 1), (4, 1))

    def __init__(self, n_class: int = 10, channel: int = 96) -> None:
        super().__init__()
        channels = width = channel // 2
        with self.init_scope():
            self.conv1_1 = ConvBNReLU(3, channels, 3, 1, 1)
            self.conv1_2 = ConvBNReLU(3, channels, 3, 1, 1)
            for i, (scale, stride) in enumerate(self.BLOCKS, 1):
                setattr(self, f'rir{i}', RiRBlock(channels, scale * width, stride))
                channels = scale * width
            self.conv2 = ConvBNReLU(2 * channels, n_class, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        residual, transient = self.conv1_1(x), self.conv1_2(x)  # (B, 48, 32, 32) each
        for i in range(1, len(self.BLOCKS) + 1):
            residual, transient = self[f'rir{i}'](residual, transient)
        # (B, 48, 32, 32) to rir2, (B, 96, 16, 16) to rir5, (B, 192, 8, 8) to rir8
        h = self.conv2(F.concat((residual, transient)))  # (B, n_class, 8, 8)
        return F.average(h, axis=(2, 3))
