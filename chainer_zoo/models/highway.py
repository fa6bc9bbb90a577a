"""Training Very Deep Networks (Srivastava, Greff, Schmidhuber 2015)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import shortcut
from chainer_zoo.links import BNReLUConv
from chainer_zoo.sequence import in_sequence


class HighwayLayer(chainer.Chain):
    """y = H(x) T(x) + x (1 - T(x)): equation (3) of the paper, the carry gate being 1 - T.

    Where H adds channels, zero channels are appended to x first, both for the gate and for the sum.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output, at least ``in_channels``.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        with self.init_scope():
            self.conv = BNReLUConv(in_channels, out_channels, 3, 1, 1)
            self.conv_highway_3x3 = BNReLUConv(out_channels, out_channels, 3, 1, 1)
            self.conv_highway_1x1_1 = BNReLUConv(out_channels, out_channels, 1, 1, 0)
            self.conv_highway_1x1_2 = BNReLUConv(out_channels, out_channels, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        h = self.conv(x)
        x = shortcut(x, self.out_channels)
        # as the original: the gate is three convolutions deep, and its bias starts at 0
        gate = in_sequence(
            x,
            self.conv_highway_3x3,
            self.conv_highway_1x1_1,
            self.conv_highway_1x1_2,
            F.sigmoid,
        )
        return h * gate + x * (1.0 - gate)


class Highway(chainer.Chain):
    """The highway network with 19 layers on the widths of FitNet 4: section 4.2 of the paper.

    Args:
        n_class (int): number of classes.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/highway_networks, highway_networks.py, at 5f990f3.

    Differences:
        From the paper: batch normalization and ReLU before every convolution; the gate is a 3x3 and
        two 1x1 convolutions instead of one layer like H, and its bias starts at 0 instead of
        negative; layers that add channels are highway layers too, with zero channels appended to x,
        instead of plain ones; the classifier is a global average and a 1x1 convolution instead of a
        fully connected maxout layer; no dropout.
        From the original: none.
    """

    WIDTHS = ((32, 32, 32, 48, 48), (80,) * 6, (128,) * 6)

    def __init__(self, n_class: int = 10) -> None:
        super().__init__()
        channels = 3
        with self.init_scope():
            for stage, widths in enumerate(self.WIDTHS, 1):
                for i, width in enumerate(widths, 1):
                    setattr(self, f'conv{stage}_{i}', HighwayLayer(channels, width))
                    channels = width
            self.linear = BNReLUConv(channels, n_class, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        for stage, widths in enumerate(self.WIDTHS, 1):
            if stage > 1:
                x = F.max_pooling_2d(x, 2, 2)
            for i in range(1, len(widths) + 1):
                x = self[f'conv{stage}_{i}'](x)
            # (B, 48, 32, 32), (B, 80, 16, 16), (B, 128, 8, 8)
        h = F.average(x, axis=(2, 3), keepdims=True)  # (B, 128, 1, 1)
        # as the original: batch normalization, ReLU and convolution act on averages
        return F.squeeze(self.linear(h), axis=(2, 3))
