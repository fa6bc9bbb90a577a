"""Convolution, batch normalization, ReLU."""

from __future__ import annotations

import chainer.functions as F

from chainer_zoo.links.batch_normalization import BatchNormalization
from chainer_zoo.links.convolution import Convolution2D
from chainer_zoo.sequence import SequentialChain
from chainer_zoo.sequence import Step


class ConvBNReLU(SequentialChain):
    """ReLU(BN(convolution(x))).

    Args: as :class:`~chainer_zoo.links.Convolution2D`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ksize: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        pad: int | tuple[int, int] = 1,
        **kwargs,
    ) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = Convolution2D(in_channels, out_channels, ksize, stride, pad, **kwargs)
            self.bn = BatchNormalization(out_channels)

    @property
    def sequence(self) -> tuple[Step, ...]:
        return self.conv, self.bn, F.relu
