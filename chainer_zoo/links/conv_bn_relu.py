"""Convolution, batch normalization, ReLU."""
import chainer

from chainer_zoo.functions import conv_bn
from chainer_zoo.links.batch_normalization import BatchNormalization
from chainer_zoo.links.convolution import Convolution2D


class ConvBNReLU(chainer.Chain):
    """ReLU(BN(convolution(x))).

    Args: as :class:`~chainer_zoo.links.Convolution2D`.
    """

    def __init__(self, in_channels, out_channels, ksize=3, stride=1, pad=1, **kwargs):
        super(ConvBNReLU, self).__init__()
        with self.init_scope():
            self.conv = Convolution2D(in_channels, out_channels, ksize, stride, pad, **kwargs)
            self.bn = BatchNormalization(out_channels)

    def forward(self, x):
        return conv_bn(x, self.conv, self.bn, relu=True)
