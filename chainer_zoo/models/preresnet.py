"""Identity Mappings in Deep Residual Networks (He et al. 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.links import BasicStage
from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import BottleneckStage
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import Skip


class PreResNetStage(BottleneckStage):
    """Bottlenecks that add to what came in: see :class:`~chainer_zoo.links.BottleneckStage`.

    Input: float (B, in_channels, H, W). Output: float (B, 4 width, H / stride, W / stride).
    """

    def forward(self, x: Variable) -> Variable:
        for i in range(1, self.blocks + 1):
            x = in_sequence(x, *self.branch(i), Skip(self.skip(x, i)))
        return x


class PreResNet(chainer.Chain):
    """Pre-activated ResNet for CIFAR-10: ResNet-164 of the paper's table 3.

    Args:
        n_class (int): number of classes.
        depth (int): number of layers, 9 n + 2 with n bottlenecks a stage.
        k (int): width; bottlenecks have 16 k, 32 k and 64 k channels inside.
        variant (str): ``'original'``; ``'2016-11-11'``, whose stages' first shortcuts have no BN
            and ReLU; or ``'2016-11-09'``, with which 93.88 was measured: blocks of two 3x3
            convolutions, (depth - 2) / 3 a stage, and no ReLU but those of the blocks.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/residual_net, residual_net.py, at a07da94; ``'2016-11-11'`` at 6bce76a,
    ``'2016-11-09'`` at 8670456.

    Differences:
        From the paper: where channels change the shortcut picks pixels and appends zero channels,
        and has BN and ReLU of its own; ReLU without BN after the first convolution and once more
        after the last stage; the classifier is a 1x1 convolution before the global average
        (the same as a linear layer after it); convolutions have biases.
        From the original: none.
    """

    def __init__(
        self, n_class: int = 10, depth: int = 164, k: int = 1, variant: str = 'original'
    ) -> None:
        super().__init__()
        channels = 16 * k
        self.bottlenecks = variant != '2016-11-09'
        with self.init_scope():
            self.conv1 = Convolution2D(3, channels, 3, 1, 1)
            for stage, width in enumerate((16 * k, 32 * k, 64 * k), 1):
                stride = 1 if stage == 1 else 2
                if self.bottlenecks:
                    block = PreResNetStage(
                        channels, width, stride, (depth - 2) // 9, variant == 'original'
                    )
                else:
                    block = BasicStage(channels, width, stride, (depth - 2) // 3)
                setattr(self, f'res_block{stage}', block)
                channels = block.out_channels
            self.bn_relu_conv = BNReLUConv(channels, n_class, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        if self.bottlenecks:
            h = in_sequence(x, self.conv1, F.relu)  # (B, 16, 32, 32)
        else:
            h = self.conv1(x)
        h = self.res_block1(h)  # (B, 64, 32, 32)
        h = self.res_block2(h)  # (B, 128, 16, 16)
        h = self.res_block3(h)  # (B, 256, 8, 8)
        if self.bottlenecks:
            h = F.relu(h)  # as the original: before the last BN and ReLU
        h = self.bn_relu_conv(h)  # (B, n_class, 8, 8)
        return F.average(h, axis=(2, 3))
