"""Batch normalization, ReLU, convolution."""

from __future__ import annotations

import chainer.functions as F

from chainer_zoo.links.batch_normalization import BatchNormalization
from chainer_zoo.links.convolution import Convolution2D
from chainer_zoo.sequence import SequentialChain
from chainer_zoo.sequence import Step


class BNReLUConv(SequentialChain):
    """Convolution(ReLU(BN(x))): the pre-activated order of He et al. 2016, figure 1 (b).

    Args: as :class:`~chainer_zoo.links.Convolution2D`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, ksize: int = 3, stride: int = 1, pad: int = 1
    ) -> None:
        super().__init__()
        with self.init_scope():
            self.bn = BatchNormalization(in_channels)
            self.conv = Convolution2D(in_channels, out_channels, ksize, stride, pad)

    @property
    def sequence(self) -> tuple[Step, ...]:
        return self.bn, F.relu, self.conv
