"""FractalNet: Ultra-Deep Neural Networks without Residuals (Larsson et al. 2016)."""

from __future__ import annotations

from typing import NamedTuple

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import dropout
from chainer_zoo.functions import noise
from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import ConvBNReLU


class AlivePaths(NamedTuple):
    """The paths through a fractal that are computed.

    Attributes:
        short: whether the single layer is.
        long: the alive paths of the two halves in a row, or None where neither is computed.
    """

    short: bool
    long: tuple[AlivePaths, AlivePaths] | None


#: The paths through a single layer.
LAYER = AlivePaths(True, None)


def whole(columns: int) -> AlivePaths:
    """Return the paths through a fractal of which nothing is dropped.

    Args:
        columns (int): how many columns the fractal has.

    Returns:
        AlivePaths: all alive.
    """
    return LAYER if columns == 1 else AlivePaths(True, (whole(columns - 1),) * 2)


def single_column(columns: int, column: int) -> AlivePaths:
    """Return the paths of which one column is left: global drop-path.

    Args:
        columns (int): how many columns the fractal has.
        column (int): the one to keep; 1 is the single layer, ``columns`` the longest.

    Returns:
        AlivePaths: one input alive at every join on that column.
    """
    if column == 1:
        return LAYER
    return AlivePaths(False, (single_column(columns - 1, column - 1),) * 2)


def local_drop_path(columns: int, ratio: float) -> AlivePaths:
    """Draw for each input of each join whether it is dropped: local drop-path.

    Where one half has no path left, the other half is dropped too. A fractal that has no path left
    is drawn again. So every join that is computed has an input.

    Args:
        columns (int): how many columns the fractal has.
        ratio (float): probability that an input of a join is dropped, less than 1.

    Returns:
        AlivePaths: at least one path from start to end.
    """
    while True:
        paths = _draw(columns, ratio)
        if paths is not None:
            return paths


def _draw(columns, ratio):
    """Return one draw, None where no path is left."""
    if columns == 1:
        return LAYER
    long, short = (not noise.generator.uniform() <= ratio for _ in range(2))
    halves = _draw(columns - 1, ratio), _draw(columns - 1, ratio)
    long = long and None not in halves
    return AlivePaths(short, halves if long else None) if long or short else None


def drop_path(columns: int, global_ratio: float = 0.5, local_ratio: float = 0.15) -> AlivePaths:
    """Draw the paths of a fractal that are alive in this batch: section 3 of the paper.

    Args:
        columns (int): how many columns the fractal has.
        global_ratio (float): how often one column is kept instead of drawing for every join.
        local_ratio (float): probability that an input of a join is dropped otherwise.

    Returns:
        AlivePaths: the paths; all of them where noise is off.
    """
    if not noise.is_on():
        return whole(columns)
    if noise.generator.uniform() <= global_ratio:
        return single_column(columns, 1 + int(columns * noise.generator.uniform()))
    return local_drop_path(columns, local_ratio)


class FractalLayer(chainer.Chain):
    """Dropout, convolution, BN, ReLU: a fractal of one column.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output.
        dropout_ratio (float): of the input.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int, dropout_ratio: float) -> None:
        super().__init__()
        self.dropout_ratio = dropout_ratio
        with self.init_scope():
            self.conv_bn_relu = ConvBNReLU(in_channels, out_channels, 3, 1, 1)

    def forward(self, x: Variable, paths: AlivePaths) -> Variable:
        return self.conv_bn_relu(dropout(x, self.dropout_ratio))


class Fractal(chainer.Chain):
    """Two fractals in a row, joined with a single layer: equation (1) and figure 1 of the paper.

    Args:
        columns (int): number of columns C, at least 2; the longest has 2**(C - 1) layers.
        in_channels (int): channels of the input.
        out_channels (int): channels of the output.
        dropout_ratio (float): of every layer's input.

    Input: float (B, in_channels, H, W), and the paths to compute (see :class:`AlivePaths`).
    Output: float (B, out_channels, H, W), the mean of the join's inputs.
    """

    def __init__(
        self, columns: int, in_channels: int, out_channels: int, dropout_ratio: float
    ) -> None:
        super().__init__()
        self.halves = f'f{columns}_1', f'f{columns}_2'
        with self.init_scope():
            # unlike the original: it draws the weights of the single layer last
            self.f1 = FractalLayer(in_channels, out_channels, dropout_ratio)
            for half, channels in zip(self.halves, (in_channels, out_channels)):
                setattr(self, half, fractal(columns - 1, channels, out_channels, dropout_ratio))

    def forward(self, x: Variable, paths: AlivePaths) -> Variable:
        if paths.long is None:
            return self.f1(x, LAYER)
        h = x
        for half, alive in zip(self.halves, paths.long):
            h = self[half](h, alive)
        # as the original: a join has two inputs, so columns that end together do not weigh the same
        return (self.f1(x, LAYER) + h) / 2 if paths.short else h


def fractal(
    columns: int, in_channels: int, out_channels: int, dropout_ratio: float
) -> chainer.Chain:
    """Return a fractal of ``columns`` columns: a :class:`Fractal`, or one layer for one column."""
    if columns == 1:
        return FractalLayer(in_channels, out_channels, dropout_ratio)
    return Fractal(columns, in_channels, out_channels, dropout_ratio)


class FractalBlock(chainer.Chain):
    """A fractal that draws for every batch in training which of its paths are computed.

    Args: as :class:`Fractal`.
    """

    def __init__(
        self, columns: int, in_channels: int, out_channels: int, dropout_ratio: float
    ) -> None:
        super().__init__()
        self.columns = columns
        with self.init_scope():
            self.block = fractal(columns, in_channels, out_channels, dropout_ratio)

    def forward(self, x: Variable) -> Variable:
        return self.block(x, drop_path(self.columns))


class FractalNet(chainer.Chain):
    """The network of five blocks with three columns, 20 layers deep: section 4.2 of the paper.

    With four columns and a width of 16 it is the one of 40 layers in the paper's table on ever
    deeper networks (4.8 M weights).

    Args:
        n_class (int): number of classes.
        columns (int): columns of a block; with C columns the network has 5 * 2**(C - 1) layers.
        width (int): channels of the first block; the others have 2, 4, 8 and 8 times as many.
        variant (str): whose last layer: ``'original'``, BN, ReLU and a 1x1 convolution;
            ``'article'``, convolution, BN and ReLU, with which the article's 93.77 was measured;
            ``'2016-12-30'``, the same with the convolution padded by 1 (93.32 and before).

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/fractal_net, fractal_net.py, at 8cc644e; ``'article'`` at 6e3992b,
    ``'2016-12-30'`` at 2c19e28.

    Differences:
        From the paper: every join has two inputs, where the paper joins all columns that end at
        one place with equal weights; global drop-path draws a column for each block instead of
        one for the network, and all draws hold for a whole batch; local drop-path draws a whole
        block again where no path is left, instead of keeping one input of each join; dropout acts
        on every layer's input; the classifier is BN, ReLU and a 1x1 convolution after the last
        pooling.
        From the original: starting weights are drawn in another order, so a seed gives others.
    """

    WIDTHS = (1, 2, 4, 8, 8)
    DROPOUT = (0.0, 0.1, 0.2, 0.3, 0.4)

    def __init__(
        self, n_class: int = 10, columns: int = 3, width: int = 64, variant: str = 'original'
    ) -> None:
        super().__init__()
        channels = 3
        with self.init_scope():
            for i, (factor, ratio) in enumerate(zip(self.WIDTHS, self.DROPOUT), 1):
                setattr(
                    self,
                    f'fractal_block{i}',
                    FractalBlock(columns, channels, factor * width, ratio),
                )
                channels = factor * width
            if variant == 'original':
                self.bn_relu_conv = BNReLUConv(channels, n_class, 1, 1, 0)
            else:
                pad = 1 if variant == '2016-12-30' else 0
                self.conv_bn_relu = ConvBNReLU(channels, n_class, 1, 1, pad)
        self.classifier = 'bn_relu_conv' if variant == 'original' else 'conv_bn_relu'

    def forward(self, x: Variable) -> Variable:
        h = x
        for i in range(1, len(self.WIDTHS) + 1):
            h = self[f'fractal_block{i}'](h)
            h = F.max_pooling_2d(h, 2, 2)
        # (B, 64, 16, 16), (B, 128, 8, 8), (B, 256, 4, 4), (B, 512, 2, 2), (B, 512, 1, 1)
        h = self[self.classifier](h)  # (B, n_class, 1, 1); padded, (B, n_class, 3, 3)
        return F.average(h, axis=(2, 3))
