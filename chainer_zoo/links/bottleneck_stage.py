"""A stage of pre-activated bottlenecks."""

from __future__ import annotations

import chainer
from chainer import Variable

from chainer_zoo.functions import shortcut
from chainer_zoo.links.batch_normalization import BatchNormalization
from chainer_zoo.links.bn_relu_conv import BNReLUConv
from chainer_zoo.sequence import bn_relu


class BottleneckStage(chainer.Chain):
    """The layers of bottlenecks: convolutions 1x1, 3x3, 1x1, each with BN and ReLU before it.

    A subclass joins the branch of each bottleneck with its shortcut. Source of the block: He et al.
    2016, "Identity Mappings in Deep Residual Networks", figure 1 (b) and section 4.

    Args:
        in_channels (int): channels of the stage's input.
        width (int): channels inside a bottleneck; it ends with four times as many.
        stride (int): of the stage, at its first convolution and first shortcut.
        blocks (int): number of bottlenecks, counted from 1.
        activated_skip (bool): normalize and activate what the first shortcut takes.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        blocks: int,
        activated_skip: bool = True,
    ) -> None:
        super().__init__()
        self.out_channels = 4 * width
        self.stride = stride
        self.blocks = blocks
        self.activated_skip = activated_skip
        with self.init_scope():
            if activated_skip:
                self.skip_bn = BatchNormalization(in_channels)
            for i in range(1, blocks + 1):
                setattr(
                    self,
                    f'bn_relu_conv1_{i}',
                    BNReLUConv(
                        in_channels if i == 1 else self.out_channels,
                        width,
                        1,
                        stride if i == 1 else 1,
                        0,
                    ),
                )
                setattr(self, f'bn_relu_conv2_{i}', BNReLUConv(width, width, 3, 1, 1))
                setattr(self, f'bn_relu_conv3_{i}', BNReLUConv(width, self.out_channels, 1, 1, 0))

    def branch(self, i: int) -> list[chainer.Link]:
        """Return the three layers of bottleneck ``i``, steps of a sequence.

        Their result is float (B, 4 * width, H, W), strided if ``i`` is 1.

        Args:
            i (int): from 1.
        """
        return [self[f'bn_relu_conv{layer}_{i}'] for layer in (1, 2, 3)]

    def skip(self, x: Variable, i: int) -> Variable:
        """Return what the shortcut of bottleneck ``i`` (from 1) makes of its input.

        Args:
            x (:class:`~chainer.Variable`): float (B, C, H, W).
            i (int): from 1.

        Returns:
            :class:`~chainer.Variable`: float (B, 4 * width, H, W), strided if ``i`` is 1.
        """
        if i > 1:
            return x
        if self.activated_skip:
            # as the original: the first shortcut is activated too, by a normalization of its own
            x = bn_relu(x, self.skip_bn)
        return shortcut(x, self.out_channels, self.stride)
