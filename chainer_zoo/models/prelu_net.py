"""Delving Deep into Rectifiers (He et al. 2015)."""

from __future__ import annotations

import chainer
import chainer.functions as F
import chainer.links as L
from chainer import Variable

from chainer_zoo.functions import dropout
from chainer_zoo.links import Convolution2D
from chainer_zoo.links import Linear
from chainer_zoo.sequence import SequentialChain
from chainer_zoo.sequence import Step


class ConvPReLU(SequentialChain):
    """PReLU(convolution(x)) with one slope a channel that starts at 0.25: section 2.1 of the paper.

    Args: as :class:`~chainer_zoo.links.Convolution2D`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, ksize: int = 3, stride: int = 1, pad: int = 1
    ) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = Convolution2D(in_channels, out_channels, ksize, stride, pad)
            self.conv_prelu = L.PReLU(out_channels, init=0.25)

    @property
    def sequence(self) -> tuple[Step, ...]:
        return self.conv, self.conv_prelu


class LinearPReLU3(chainer.Chain):
    """Three times dropout, linear layer and PReLU.

    Args:
        in_channels (int): features of the input.
        channels (three ints): features after each linear layer.

    Input: float (B, in_channels). Output: float (B, channels[2]).
    """

    def __init__(self, in_channels: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        with self.init_scope():
            for i in (0, 1, 2):
                setattr(self, f'fc{i}', Linear(in_channels, channels[i]))
                setattr(self, f'prelu{i}', L.PReLU(channels[i], init=0.25))
                in_channels = channels[i]

    def forward(self, x: Variable) -> Variable:
        for i in (0, 1, 2):
            # unlike the original: it forgets to switch this dropout off at test, which makes its
            # answers random there
            x = dropout(x, 0.5)
            x = self[f'prelu{i}'](self[f'fc{i}'](x))
        return x


class PReLUNet(chainer.Chain):
    """The PReLU network with 19 layers: column A of table 3 of the paper.

    Args:
        n_class (int): number of classes.

    Input: float32 images (B, 3, H, W), 224 pixels a side in training, 384 at test.
    Output: float32 logits (B, n_class).

    Source: nutszebra/prelu_net, prelu.py, at 6f30121.

    Differences:
        From the paper: global average pooling in place of spatial pyramid pooling; dropout before
        each of the three linear layers instead of the last two; a PReLU after the last one, too;
        weights are orthogonal and not just Gaussian; weight decay acts on the slopes as well.
        From the original: dropout is off at test, where the original leaves it on by mistake.
    """

    def __init__(self, n_class: int = 10) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1 = ConvPReLU(3, 96, 7, 2, 3)
            in_channels = 96
            for stage, channels in enumerate((256, 512, 512)):
                for i in range(5):
                    setattr(self, f'prelu_block{stage}_{i}', ConvPReLU(in_channels, channels))
                    in_channels = channels
            self.fc = LinearPReLU3(512, (4096, 4096, n_class))

    def forward(self, x: Variable) -> Variable:
        h = self.conv1(x)  # (B, 96, 112, 112)
        for stage in (0, 1, 2):
            h = F.max_pooling_2d(h, 2, 2)
            for i in range(5):
                h = self[f'prelu_block{stage}_{i}'](h)
            # (B, 256, 56, 56), (B, 512, 28, 28), (B, 512, 14, 14)
        return self.fc(F.average(h, axis=(2, 3)))
