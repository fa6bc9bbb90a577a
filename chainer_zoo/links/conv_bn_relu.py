"""Convolution, batch normalization, ReLU."""

import chainer
import chainer.functions as F

from chainer_zoo.links.batch_normalization import BatchNormalization
from chainer_zoo.links.convolution import Convolution2D
from chainer_zoo.sequence import has_hooks
from chainer_zoo.sequence import in_sequence


class ConvBNReLU(chainer.Chain):
    """ReLU(BN(convolution(x))).

    Args: as :class:`~chainer_zoo.links.Convolution2D`.
    """

    def __init__(self, in_channels, out_channels, ksize=3, stride=1, pad=1, **kwargs):
        super().__init__()
        with self.init_scope():
            self.conv = Convolution2D(in_channels, out_channels, ksize, stride, pad, **kwargs)
            self.bn = BatchNormalization(out_channels)

    def steps(self):
        """Return its steps, for :func:`~chainer_zoo.functions.in_sequence` with others.

        That is itself where a hook waits for its call.
        """
        return (self,) if has_hooks(self) else self._steps()

    def _steps(self):
        return self.conv, self.bn, F.relu

    def forward(self, x):
        return in_sequence(x, *self._steps())
