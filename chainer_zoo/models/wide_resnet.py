"""Wide Residual Networks (Zagoruyko and Komodakis 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import Skip


class WideResNetStage(chainer.Chain):
    """Pre-activated blocks of two 3x3 convolutions: figure 1 (c) of the paper.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output, at least ``in_channels``.
        stride (int): of the stage, at its first convolution and first shortcut.
        blocks (int): number of blocks.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, blocks: int) -> None:
        super().__init__()
        self.stride = stride
        self.blocks = blocks
        with self.init_scope():
            for i in range(1, blocks + 1):
                setattr(
                    self,
                    f'bn_relu_conv1_{i}',
                    BNReLUConv(
                        in_channels if i == 1 else out_channels,
                        out_channels,
                        3,
                        stride if i == 1 else 1,
                        1,
                    ),
                )
                setattr(self, f'bn_relu_conv2_{i}', BNReLUConv(out_channels, out_channels, 3, 1, 1))

    def forward(self, x: Variable) -> Variable:
        for i in range(1, self.blocks + 1):
            x = in_sequence(
                x,
                self[f'bn_relu_conv1_{i}'],
                self[f'bn_relu_conv2_{i}'],
                Skip(x, self.stride if i == 1 else 1),
            )
        return x


class WideResNet(chainer.Chain):
    """Wide ResNet for CIFAR-10: table 1 of the paper, WRN-28-10 by default.

    Args:
        n_class (int): number of classes.
        depth (int): number of layers; depth / 6 blocks a stage, rounded down.
        k (int): width; stages have 16 k, 32 k and 64 k channels.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/wide_residual_net, wide_residual_net.py.

    Differences:
        From the paper: where channels change the shortcut picks pixels and appends zero channels
        instead of a 1x1 projection; the classifier is a 1x1 convolution before the global
        average (the same as a linear layer after it); no dropout; convolutions have biases.
        From the original: none.
    """

    def __init__(self, n_class: int = 10, depth: int = 28, k: int = 10) -> None:
        super().__init__()
        channels = 16
        with self.init_scope():
            self.conv1 = Convolution2D(3, channels, 3, 1, 1)
            for stage, width in enumerate((16 * k, 32 * k, 64 * k), 1):
                setattr(
                    self,
                    f'wide_res_block{stage}',
                    WideResNetStage(channels, width, 1 if stage == 1 else 2, depth // 6),
                )
                channels = width
            self.bn_relu_conv = BNReLUConv(channels, n_class, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        h = self.conv1(x)  # (B, 16, 32, 32)
        h = self.wide_res_block1(h)  # (B, 160, 32, 32)
        h = self.wide_res_block2(h)  # (B, 320, 16, 16)
        h = self.wide_res_block3(h)  # (B, 640, 8, 8)
        h = self.bn_relu_conv(h)  # (B, n_class, 8, 8)
        return F.average(h, axis=(2, 3))
