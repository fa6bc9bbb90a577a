"""Aggregated Residual Transformations for Deep Neural Networks (Xie et al. 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import in_parallel
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import Skip


class SummedBlock(chainer.Chain):
    """A bottleneck of C narrow paths: figure 3 (a) of the paper.

    Each path is 1x1, 3x3, 1x1; their outputs are summed, and BN and ReLU follow.

    Args: as :class:`ResNeXtBlock`.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / stride, W / stride).
    """

    def __init__(
        self, in_channels: int, width: int, out_channels: int, stride: int, C: int
    ) -> None:
        super().__init__()
        self.stride = stride
        self.C = C
        path = width // C
        with self.init_scope():
            for i in range(1, C + 1):
                setattr(self, f'conv_bn_relu1_{i}', ConvBNReLU(in_channels, path, 1, 1, 0))
                setattr(self, f'conv_bn_relu2_{i}', ConvBNReLU(path, path, 3, stride, 1))
                setattr(self, f'conv3_{i}', Convolution2D(path, out_channels, 1))
            self.bn3 = BatchNormalization(out_channels)

    def forward(self, x: Variable) -> Variable:
        paths = [
            in_sequence(
                x, self[f'conv_bn_relu1_{i}'], self[f'conv_bn_relu2_{i}'], self[f'conv3_{i}']
            )
            for i in range(1, self.C + 1)
        ]
        return in_sequence(sum(paths), self.bn3, F.relu, Skip(x, self.stride))


class ResNeXtBlock(chainer.Chain):
    """A bottleneck of C narrow paths: figure 3 (b) of the paper.

    Each path is 1x1, 3x3; their outputs are concatenated and a last 1x1 merges them.

    Args:
        in_channels (int): channels of the input.
        width (int): channels of all paths together.
        out_channels (int): channels of the output.
        stride (int): of the 3x3 convolutions and the shortcut.
        C (int): cardinality, the number of paths.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / stride, W / stride).
    """

    def __init__(
        self, in_channels: int, width: int, out_channels: int, stride: int, C: int
    ) -> None:
        super().__init__()
        self.stride = stride
        self.C = C
        path = width // C
        with self.init_scope():
            for i in range(1, C + 1):
                setattr(self, f'conv_bn_relu1_{i}', ConvBNReLU(in_channels, path, 1, 1, 0))
            for i in range(1, C + 1):
                setattr(self, f'conv_bn_relu2_{i}', ConvBNReLU(path, path, 3, stride, 1))
            self.conv_bn_relu3 = ConvBNReLU(width, out_channels, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        paths = [
            (x, self[f'conv_bn_relu1_{i}'], self[f'conv_bn_relu2_{i}'])
            for i in range(1, self.C + 1)
        ]
        # as the original: no ReLU after the sum, one before it
        return in_sequence(in_parallel(*paths), self.conv_bn_relu3, Skip(x, self.stride))


class GroupedBlock(chainer.Chain):
    """A bottleneck whose 3x3 convolution is grouped: figure 3 (c) of the paper.

    Args: as :class:`ResNeXtBlock`.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / stride, W / stride).
    """

    def __init__(
        self, in_channels: int, width: int, out_channels: int, stride: int, C: int
    ) -> None:
        super().__init__()
        self.stride = stride
        with self.init_scope():
            self.conv_bn_relu1 = ConvBNReLU(in_channels, width, 1, 1, 0)
            self.conv_bn_relu2 = ConvBNReLU(width, width, 3, stride, 1, groups=C)
            self.conv_bn_relu3 = ConvBNReLU(width, out_channels, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        return in_sequence(
            x, self.conv_bn_relu1, self.conv_bn_relu2, self.conv_bn_relu3, Skip(x, self.stride)
        )


#: The three forms of figure 3. They compute the same and have the same number of weights.
BLOCKS = {'a': SummedBlock, 'b': ResNeXtBlock, 'c': GroupedBlock}


class ResNeXt(chainer.Chain):
    """ResNeXt-29 for CIFAR-10: section 5.3 and figure 3 (b) of the paper.

    Args:
        n_class (int): number of classes.
        C (int): cardinality.
        d (int): channels of a path in the first stage; doubled from stage to stage.
        multiplier (int): blocks of the first stage end with d * multiplier channels.
        variant (str): which form of figure 3 the blocks have: ``'a'``, ``'b'`` or ``'c'``.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/resnext, resnext.py, at 8083294; it has form (b).

    Differences:
        From the paper: each path is a convolution of its own, so every path has its own 1x1
        (grouped convolution shares none either, but is one layer); ReLU before the sum instead of
        after it; shortcuts pick pixels and append zero channels instead of a projection; the last
        layer is convolution, BN and ReLU, so logits are at least 0; convolutions have biases.
        From the original: none.
    """

    def __init__(
        self,
        n_class: int = 10,
        C: int = 2,
        d: int = 64,
        multiplier: int = 4,
        variant: str = 'b',
    ) -> None:
        super().__init__()
        channels = d * multiplier
        with self.init_scope():
            self.conv_bn_relu = ConvBNReLU(3, channels, 3, 1, 1)
            for stage in (1, 2, 3):
                scale = 2 ** (stage - 1)
                for i in (1, 2, 3):
                    setattr(
                        self,
                        f'resnext_block_{stage}_{i}',
                        BLOCKS[variant](
                            channels,
                            C * d * scale,
                            d * multiplier * scale,
                            stride=2 if stage > 1 and i == 1 else 1,
                            C=C,
                        ),
                    )
                    channels = d * multiplier * scale
            self.linear = ConvBNReLU(channels, n_class, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        h = self.conv_bn_relu(x)  # (B, 256, 32, 32)
        for stage in (1, 2, 3):
            for i in (1, 2, 3):
                h = self[f'resnext_block_{stage}_{i}'](h)
            # (B, 256, 32, 32), (B, 512, 16, 16), (B, 1024, 8, 8)
        h = F.average(h, axis=(2, 3), keepdims=True)  # (B, 1024, 1, 1)
        return F.squeeze(self.linear(h), axis=(2, 3))
