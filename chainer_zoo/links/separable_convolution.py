"""Separable convolution: depthwise, then pointwise."""

from __future__ import annotations

import chainer
from chainer import Variable
from chainer import variable

from chainer_zoo.functions import depthwise_convolution
from chainer_zoo.initializers import HeOrthogonal
from chainer_zoo.links.convolution import Convolution2D
from chainer_zoo.sequence import SequentialChain
from chainer_zoo.sequence import Step


class DepthwiseConvolution(chainer.Link):
    """A convolution of each channel with a kernel of its own, without bias.

    Args:
        channels (int): C of input and output.
        ksize (int): kernel size.
        stride (int): stride.
        pad (int): zeros around the input.

    Input: float (B, C, H, W). Output: float (B, C, (H + 2 pad - ksize) // stride + 1, ...).
    """

    def __init__(self, channels: int, ksize: int = 3, stride: int = 1, pad: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.pad = pad
        with self.init_scope():
            self.W = variable.Parameter(HeOrthogonal(), (channels, 1, ksize, ksize))

    def forward(self, x: Variable) -> Variable:
        return depthwise_convolution(x, self.W, self.stride, self.pad)


class SeparableConvolution(SequentialChain):
    """Depthwise convolution, then a 1x1 convolution across channels; nothing between, no biases.

    Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", sections 1.2
    and 3, in the order of figure 5 (spatial first).

    Args:
        in_channels (int): C of the input.
        out_channels (int): C of the output.
        ksize (int): kernel size of the depthwise part.
        stride (int): its stride.
        pad (int): its zeros around the input.

    Input: float (B, in_channels, H, W).
    Output: float (B, out_channels, (H + 2 pad - ksize) // stride + 1, ...).
    """

    def __init__(
        self, in_channels: int, out_channels: int, ksize: int = 3, stride: int = 1, pad: int = 1
    ) -> None:
        super().__init__()
        with self.init_scope():
            self.depthwise = DepthwiseConvolution(in_channels, ksize, stride, pad)
            self.pointwise = Convolution2D(in_channels, out_channels, 1, nobias=True)

    @property
    def sequence(self) -> tuple[Step, ...]:
        return self.depthwise, self.pointwise
