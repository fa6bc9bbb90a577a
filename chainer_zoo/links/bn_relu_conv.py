"""Batch normalization, ReLU, convolution."""
import chainer

from chainer_zoo.functions import bn_relu
from chainer_zoo.links.batch_normalization import BatchNormalization
from chainer_zoo.links.convolution import Convolution2D


class BNReLUConv(chainer.Chain):
    """Convolution(ReLU(BN(x))): the pre-activated order of He et al. 2016, figure 1 (b).

    Args: as :class:`~chainer_zoo.links.Convolution2D`.
    """

    def __init__(self, in_channels, out_channels, ksize=3, stride=1, pad=1):
        super(BNReLUConv, self).__init__()
        with self.init_scope():
            self.bn = BatchNormalization(in_channels)
            self.conv = Convolution2D(in_channels, out_channels, ksize, stride, pad)

    def forward(self, x):
        return self.conv(bn_relu(x, self.bn))
