"""Deep Pyramidal Residual Networks (Han, Kim, Kim 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import Convolution2D
from chainer_zoo.models.schedules import linear_schedule
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import Skip


def pyramid(
    depth: int, alpha: int, initial_channel: int, bottleneck: bool = False
) -> list[tuple[str, int, int, int]]:
    """Return the shape of every block of a pyramidal network: equation (2) of the paper.

    Args:
        depth (int): layers; int(depth / 6) blocks in each of three stages, of bottlenecks
            int(depth / 9).
        alpha (int): channels that all blocks add together; bottlenecks add four times as many.
        initial_channel (int): channels before the first block.
        bottleneck (bool): whether the blocks are bottlenecks.

    Returns:
        list of tuple: (path, in_channels, out_channels, stride) of each block.
    """
    n = depth // 9 if bottleneck else depth // 6
    widths = linear_schedule(initial_channel, initial_channel + alpha, 3 * n, start=1)
    factor = PyramidBottleneck.EXPANSION if bottleneck else 1
    blocks = []
    channels = initial_channel
    for i, width in enumerate(widths):
        stage, place = divmod(i, n)
        blocks.append(
            (
                f'res_block{stage}_{place}',
                channels,
                factor * int(width),
                2 if stage > 0 and place == 0 else 1,
            )
        )
        channels = factor * int(width)
    return blocks


class PyramidBlock(chainer.Chain):
    """BN, convolution, BN, ReLU, convolution, BN, and a shortcut: figure 6 (d) of the paper.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output.
        stride (int): of the second convolution and the shortcut.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        with self.init_scope():
            self.bn1 = BatchNormalization(in_channels)
            self.conv1 = Convolution2D(in_channels, out_channels, 3, 1, 1)
            self.bn2 = BatchNormalization(out_channels)
            # as the original: the second convolution has the stride
            self.conv2 = Convolution2D(out_channels, out_channels, 3, stride, 1)
            self.bn3 = BatchNormalization(out_channels)

    def forward(self, x: Variable) -> Variable:
        return in_sequence(
            x, self.bn1, self.conv1, self.bn2, F.relu, self.conv2, self.bn3, Skip(x, self.stride)
        )


class PyramidBottleneck(chainer.Chain):
    """BN, 1x1, BN, ReLU, 3x3, BN, ReLU, 1x1, BN, and a shortcut: the bottleneck of section 4.2.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output; the two narrow layers have a fourth of them.
        stride (int): of the 3x3 convolution and the shortcut.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / stride, W / stride).
    """

    EXPANSION = 4

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        width = out_channels // self.EXPANSION
        with self.init_scope():
            self.bn1 = BatchNormalization(in_channels)
            self.conv1 = Convolution2D(in_channels, width, 1, 1, 0)
            self.bn2 = BatchNormalization(width)
            self.conv2 = Convolution2D(width, width, 3, stride, 1)
            self.bn3 = BatchNormalization(width)
            self.conv3 = Convolution2D(width, out_channels, 1, 1, 0)
            self.bn4 = BatchNormalization(out_channels)

    def forward(self, x: Variable) -> Variable:
        first = (self.bn1, self.conv1, self.bn2, F.relu)
        skip = Skip(x, self.stride)
        return in_sequence(x, *first, self.conv2, self.bn3, F.relu, self.conv3, self.bn4, skip)


class PyramidNet(chainer.Chain):
    """The additive pyramidal network for CIFAR-10: section 3 and table 1 of the paper.

    Args:
        n_class (int): number of classes.
        depth (int): number of layers; int(depth / 6) blocks in each of three stages.
        alpha (int): channels that all blocks add together.
        initial_channel (int): channels before the first block.
        bottleneck (bool): blocks of 1x1, 3x3 and 1x1 convolutions; int(depth / 9) a stage.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class), at least 0.

    Source: nutszebra/pyramidal_residual_networks, pyramidal_residual_networks.py, at e3b700f.

    Differences:
        From the paper: ReLU after the first convolution; stride in a block's second convolution;
        shortcuts pick pixels instead of averaging them; after the last block there is no BN and
        ReLU, but the classifier is a 1x1 convolution with BN and ReLU on the global average, so
        logits are at least 0; convolutions have biases.
        From the original: none.
    """

    def __init__(
        self,
        n_class: int = 10,
        depth: int = 110,
        alpha: int = 270,
        initial_channel: int = 16,
        bottleneck: bool = False,
    ) -> None:
        super().__init__()
        blocks = pyramid(depth, alpha, initial_channel, bottleneck)
        block = PyramidBottleneck if bottleneck else PyramidBlock
        self.paths = [path for path, _, _, _ in blocks]
        with self.init_scope():
            self.conv1 = ConvBNReLU(3, initial_channel, 3, 1, 1)
            for path, in_channels, out_channels, stride in blocks:
                setattr(self, path, block(in_channels, out_channels, stride))
            self.linear = ConvBNReLU(out_channels, n_class, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        h = self.conv1(x)  # (B, 16, 32, 32)
        for path in self.paths:
            h = self[path](h)
        # at the ends of the stages (B, 106, 32, 32), (B, 196, 16, 16), (B, 286, 8, 8)
        h = F.average(h, axis=(2, 3), keepdims=True)  # (B, 286, 1, 1)
        return F.squeeze(self.linear(h), axis=(2, 3))
