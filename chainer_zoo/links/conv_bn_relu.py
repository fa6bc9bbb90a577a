"""Convolution, batch normalization, ReLU."""

import chainer.functions as F

from chainer_zoo.links.batch_normalization import BatchNormalization
from chainer_zoo.links.convolution import Convolution2D
from chainer_zoo.sequence import SequentialChain


class ConvBNReLU(SequentialChain):
    """ReLU(BN(convolution(x))).

    Args: as :class:`~chainer_zoo.links.Convolution2D`.
    """

    def __init__(self, in_channels, out_channels, ksize=3, stride=1, pad=1, **kwargs):
        super().__init__()
        with self.init_scope():
            self.conv = Convolution2D(in_channels, out_channels, ksize, stride, pad, **kwargs)
            self.bn = BatchNormalization(out_channels)

    @property
    def sequence(self):
        return self.conv, self.bn, F.relu
