"""Deep Pyramidal Residual Networks with Separated Stochastic Depth (Yamada et al. 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.errors import UserError
from chainer_zoo.functions import residual_add
from chainer_zoo.functions import shortcut
from chainer_zoo.functions import survival_scale
from chainer_zoo.functions import survives
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import Convolution2D
from chainer_zoo.models.pyramidnet import pyramid
from chainer_zoo.models.schedules import linear_schedule
from chainer_zoo.sequence import in_sequence


class SeparatedBlock(chainer.Chain):
    """A pyramidal block whose old and whose added channels are dropped independently.

    The old channels are those that the input has, the added ones (links that end in ``_expansion``)
    those that the block appends. A half that is dropped is not computed and counts as zeros, inside
    the block too; in test mode both are multiplied by their survival probability.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output, more than ``in_channels``.
        stride (int): of the second convolutions and the shortcut.
        p (float): survival probability of each half.

    Input: float (B, at most in_channels, H, W); channels that are missing are zero.
    Output: float (B, at most out_channels, H / stride, W / stride); the input itself where both
    halves are dropped.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, p: float) -> None:
        super().__init__()
        added = out_channels - in_channels
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        self.p = p
        with self.init_scope():
            self.bn1 = BatchNormalization(in_channels)
            self.bn1_expansion = BatchNormalization(in_channels)
            self.conv1 = Convolution2D(in_channels, in_channels, 3, 1, 1)
            # unlike the original: it draws the weights of conv2 before these
            self.conv1_expansion = Convolution2D(in_channels, added, 3, 1, 1)
            self.bn2 = BatchNormalization(in_channels)
            self.bn2_expansion = BatchNormalization(added)
            # as the original: the second convolutions have the stride
            self.conv2 = Convolution2D(out_channels, in_channels, 3, stride, 1)
            self.conv2_expansion = Convolution2D(out_channels, added, 3, stride, 1)
            self.bn3 = BatchNormalization(in_channels)
            self.bn3_expansion = BatchNormalization(added)

    def forward(self, x: Variable) -> Variable:
        # unlike the original: it keeps a half whose draw equals p, which next to never happens
        old, added = survives(self.p), survives(self.p)
        if not old and not added:
            # as the original: not even strided
            return x
        x = shortcut(x, self.in_channels)
        channels = slice(
            0 if old else self.in_channels, self.out_channels if added else self.in_channels
        )
        hidden, h = [], []
        if old:
            hidden.append(in_sequence(x, self.bn1, self.conv1, self.bn2, F.relu))
        if added:
            hidden.append(
                in_sequence(x, self.bn1_expansion, self.conv1_expansion, self.bn2_expansion, F.relu)
            )
        hidden = F.concat(hidden)
        if old:
            h.append(self.bn3(_convolve(self.conv2, hidden, channels)))
        if added:
            h.append(self.bn3_expansion(_convolve(self.conv2_expansion, hidden, channels)))
        return residual_add(F.concat(h), x, self.stride, survival_scale(self.p), channels.start)


def _convolve(conv, x, channels):
    """Apply ``conv`` to an input of which x is the slice ``channels`` and the rest is zero."""
    if x.shape[1] == conv.W.shape[1]:
        return conv(x)
    return F.convolution_2d(x, conv.W[:, channels], conv.b, conv.stride, conv.pad)


class UnusedBNConv(chainer.Chain):
    """A 1x1 convolution beside a batch normalization that is never used.

    as the original: its files hold the normalization's arrays, and they never change.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = Convolution2D(in_channels, out_channels, 1, 1, 0)
            self.bn = BatchNormalization(in_channels)

    def forward(self, x: Variable) -> Variable:
        return self.conv(x)


class PyramidNetSepDrop(chainer.Chain):
    """The network of depth 182 and alpha 150, PyramidSepDrop: section 3 of the paper.

    The survival probability falls linearly from 1 before the first block to that of the last one.
    Whether old and added channels survive is drawn for each block and batch.

    Args:
        n_class (int): number of classes.
        depth (int): number of layers; int(depth / 6) blocks in each of three stages.
        alpha (int): channels that all blocks add together; at least one for each block.
        initial_channel (int): channels before the first block.
        last_survival (float): survival probability of the last block.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/pyramidal_residual_networks_with_separated_stochastic_depth, the file of that
    name, at 9dd962c.

    Differences:
        From the paper: the halves have convolutions and normalizations of their own, which a
        dropped half leaves out, instead of one branch whose output is masked; a dropped half is
        zero inside the block too; a block whose halves are both dropped does not stride; otherwise
        as :class:`~chainer_zoo.models.pyramidnet.PyramidNet`, but the classifier is a 1x1
        convolution alone.
        From the original: a half is dropped, not kept, where its draw equals p exactly; starting
        weights are drawn in another order, so a seed gives others.

    Raises:
        UserError: alpha is less than the number of blocks.
    """

    def __init__(
        self,
        n_class: int = 10,
        depth: int = 182,
        alpha: int = 150,
        initial_channel: int = 16,
        last_survival: float = 0.5,
    ) -> None:
        super().__init__()
        blocks = pyramid(depth, alpha, initial_channel)
        if alpha < len(blocks):
            raise UserError(
                f'pyramidnet_sepdrop: alpha must be at least {len(blocks)} with depth {depth}, '
                f'a channel for each block, not {alpha}'
            )
        self.paths = [path for path, _, _, _ in blocks]
        survival = linear_schedule(1.0, last_survival, len(blocks), start=1)
        with self.init_scope():
            self.conv1 = ConvBNReLU(3, initial_channel, 3, 1, 1)
            for (path, in_channels, out_channels, stride), p in zip(blocks, survival):
                setattr(self, path, SeparatedBlock(in_channels, out_channels, stride, p))
            self.linear = UnusedBNConv(out_channels, n_class)
        self.channels = out_channels

    def forward(self, x: Variable) -> Variable:
        h = self.conv1(x)  # (B, 16, 32, 32)
        for path in self.paths:
            h = self[path](h)
        # at the ends of the stages (B, 66, 32, 32), (B, 116, 16, 16), (B, 166, 8, 8); fewer
        # channels and larger maps where blocks were dropped
        h = F.average(h, axis=(2, 3), keepdims=True)  # (B, 166, 1, 1)
        return F.squeeze(self.linear(shortcut(h, self.channels)), axis=(2, 3))
