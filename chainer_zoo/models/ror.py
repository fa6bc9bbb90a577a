"""Residual Networks of Residual Networks: Multilevel Residual Networks (Zhang et al. 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import residual_add
from chainer_zoo.functions import shortcut
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import ChainedBlocks
from chainer_zoo.links import Convolution2D
from chainer_zoo.links import ResidualBlock
from chainer_zoo.links import WithStochasticDepth
from chainer_zoo.models.schedules import linear_schedule
from chainer_zoo.sequence import bn_relu
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import Skip


class Projection(chainer.Chain):
    """A level's shortcut: BN, ReLU and a 1x1 convolution of every ``stride``-th pixel.

    How much smaller a level makes its maps depends on the blocks that were dropped, so the stride
    is an argument of the call.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        with self.init_scope():
            self.bn = BatchNormalization(in_channels)
            self.conv = Convolution2D(in_channels, out_channels, 1)

    def forward(self, x: Variable, stride: int) -> Variable:
        """Project ``x``.

        Args:
            x (:class:`~chainer.Variable`): float (B, in_channels, H, W).
            stride (int): BN sees all pixels, the convolution every ``stride``-th.

        Returns:
            :class:`~chainer.Variable`: float (B, out_channels, H / stride, W / stride).
        """
        h = bn_relu(x, self.bn)
        return self.conv(shortcut(h, h.shape[1], stride))


def level_shortcut(h: Variable, x: Variable, projection: Projection) -> Variable:
    """Return h + projection(x), whatever size the blocks between ``x`` and ``h`` left.

    Args:
        h (:class:`~chainer.Variable`): the level's output, float (B, C_h, H, W).
        x (:class:`~chainer.Variable`): its input, float (B, C_x, H_x, W_x), H_x a multiple of H.
        projection (Projection): from C_x channels to at least C_h.
    """
    return residual_add(h, projection(x, x.shape[2] // h.shape[2]))


class RoRBlock(ResidualBlock):
    """A final level: BN, ReLU, conv twice, and a shortcut.

    Args, input and output: as :class:`~chainer_zoo.links.ResidualBlock`.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, stride)
        with self.init_scope():
            self.bn1 = BatchNormalization(in_channels)
            self.conv1 = Convolution2D(in_channels, out_channels, 3, stride, 1)
            self.bn2 = BatchNormalization(out_channels)
            self.conv2 = Convolution2D(out_channels, out_channels, 3, 1, 1)
            if in_channels != out_channels:
                self.projection = Projection(in_channels, out_channels)

    def forward(self, x: Variable, scale: float = 1.0) -> Variable:
        if hasattr(self, 'projection'):
            skip = Skip(self.projection(x, self.stride), scale=scale)
        else:
            skip = Skip(x, self.stride, scale)
        return in_sequence(x, self.bn1, F.relu, self.conv1, self.bn2, F.relu, self.conv2, skip)


class StochasticRoRBlock(WithStochasticDepth, RoRBlock):
    """A final level that survives a batch with probability ``p``."""


class RoRStage(ChainedBlocks):
    """A middle level: blocks, and a projection around them all.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output.
        stride (int): of the first block.
        probabilities (list of float): the blocks' survival probabilities.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / stride, W / stride), or
    with H and W where the first block is dropped.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, probabilities: list[float]
    ) -> None:
        super().__init__(
            StochasticRoRBlock(
                out_channels if i else in_channels, out_channels, 1 if i else stride, p
            )
            for i, p in enumerate(probabilities)
        )
        with self.init_scope():
            # unlike the original: it draws these weights before those of the blocks
            self.projection = Projection(in_channels, out_channels)

    def forward(self, x: Variable) -> Variable:
        return level_shortcut(super().forward(x), x, self.projection)


class RoR(chainer.Chain):
    """RoR-3 of wide pre-activated blocks with stochastic depth: section III of the paper.

    Shortcuts on three levels: around each block, around each stage, around all stages.

    Args:
        n_class (int): number of classes.
        depth (int): number of layers; depth / 6 blocks a stage, rounded down.
        k (int): width; stages have 16 k, 32 k and 64 k channels.
        last_survival (float): survival probability that the blocks' line runs to; 1 is
            RoR without stochastic depth.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/residual_networks_of_residual_networks, resnet_of_resnet.py, at 417b3f5.

    Differences:
        From the paper: BN and ReLU act on the images before the first convolution; every
        projection is BN, ReLU and convolution, the first stage's too; survival probabilities end
        one step above 0.5; a dropped block that would halve the image leaves it as large as it
        is; convolutions have biases.
        From the original: starting weights are drawn in another order, so a seed gives others.
        It writes the projections' strides into its links during a pass; here they are arguments.
    """

    def __init__(
        self, n_class: int = 10, depth: int = 58, k: int = 4, last_survival: float = 0.5
    ) -> None:
        super().__init__()
        blocks = depth // 6
        p = linear_schedule(1.0, last_survival, 3 * blocks)
        first = channels = 16 * k
        with self.init_scope():
            # as the original: BN and ReLU on the images themselves
            self.conv1 = BNReLUConv(3, channels, 3, 1, 1)
            for stage, width in enumerate((16 * k, 32 * k, 64 * k)):
                setattr(
                    self,
                    f'res_block{stage}',
                    RoRStage(
                        channels, width, 2 if stage else 1, p[stage * blocks : (stage + 1) * blocks]
                    ),
                )
                channels = width
            self.projection = Projection(first, channels)
            self.linear = BNReLUConv(channels, n_class, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        x = h = self.conv1(x)  # (B, 64, 32, 32)
        # with no block dropped; the size stays where the first block of a stage is
        h = self.res_block0(h)  # (B, 64, 32, 32)
        h = self.res_block1(h)  # (B, 128, 16, 16)
        h = self.res_block2(h)  # (B, 256, 8, 8)
        h = level_shortcut(h, x, self.projection)
        h = F.average(h, axis=(2, 3), keepdims=True)  # (B, 256, 1, 1)
        return F.squeeze(self.linear(h), axis=(2, 3))
