"""Wide Residual Networks (Zagoruyko and Komodakis 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.links import BasicStage
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import in_sequence


class WideResNet(chainer.Chain):
    """Wide ResNet for CIFAR-10: table 1 of the paper, WRN-28-10 by default.

    Args:
        n_class (int): number of classes.
        depth (int): number of layers; depth / 6 blocks a stage, rounded down.
        k (int): width; stages have 16 k, 32 k and 64 k channels.
        dropout_ratio (float): of dropout before each block's second convolution (section 2.4 of
            the paper, which takes 0.3 for CIFAR-10); 0 leaves it out.
        variant (str): ``'original'``; or ``'2016-10-28'``, with which 94.33 was measured: a 7x7
            convolution with stride 2 first, max pooling in place of the stages' strides and after
            the last stage, BN and ReLU after the last convolution.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/wide_residual_net, wide_residual_net.py, at 0a75c1d; ``'2016-10-28'`` at
    cf6df18.

    Differences:
        From the paper: where channels change the shortcut picks pixels and appends zero channels
        instead of a 1x1 projection; the classifier is a 1x1 convolution before the global
        average (the same as a linear layer after it); convolutions have biases.
        From the original: none.
    """

    def __init__(
        self,
        n_class: int = 10,
        depth: int = 28,
        k: int = 10,
        dropout_ratio: float = 0.0,
        variant: str = 'original',
    ) -> None:
        super().__init__()
        channels = 16
        self.is_pooled = variant == '2016-10-28'
        with self.init_scope():
            if self.is_pooled:
                self.conv1 = Convolution2D(3, channels, 7, 2, 3)
            else:
                self.conv1 = Convolution2D(3, channels, 3, 1, 1)
            for stage, width in enumerate((16 * k, 32 * k, 64 * k), 1):
                stride = 1 if stage == 1 or self.is_pooled else 2
                setattr(
                    self,
                    f'wide_res_block{stage}',
                    BasicStage(channels, width, stride, depth // 6, dropout_ratio),
                )
                channels = width
            self.bn_relu_conv = BNReLUConv(channels, n_class, 1, 1, 0)
            if self.is_pooled:
                self.bn = BatchNormalization(n_class)

    def forward(self, x: Variable) -> Variable:
        if self.is_pooled:
            return self._pooled(x)
        h = self.conv1(x)  # (B, 16, 32, 32)
        h = self.wide_res_block1(h)  # (B, 160, 32, 32)
        h = self.wide_res_block2(h)  # (B, 320, 16, 16)
        h = self.wide_res_block3(h)  # (B, 640, 8, 8)
        h = self.bn_relu_conv(h)  # (B, n_class, 8, 8)
        return F.average(h, axis=(2, 3))

    def _pooled(self, x: Variable) -> Variable:
        h = self.conv1(x)  # (B, 16, 16, 16)
        for stage in (1, 2, 3):
            h = self[f'wide_res_block{stage}'](h)
            h = F.max_pooling_2d(h, 3, 2, 1)
        # (B, 16 k, 8, 8), (B, 32 k, 4, 4), (B, 64 k, 2, 2)
        h = in_sequence(h, self.bn_relu_conv, self.bn, F.relu)  # (B, n_class, 2, 2)
        return F.average(h, axis=(2, 3))
