"""Swapout: Learning an ensemble of deep architectures (Singh, Hoiem, Forsyth 2016)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import swapout
from chainer_zoo.links import BasicStage
from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import BottleneckStage
from chainer_zoo.links import Convolution2D
from chainer_zoo.models.schedules import linear_schedule
from chainer_zoo.sequence import in_sequence


def _with_swapout(stage: chainer.Chain, x: Variable, thetas: list[float], sample: bool) -> Variable:
    """Return what a stage makes of its input where swapout joins branches and shortcuts.

    Args:
        stage (chainer.Chain): has ``branch(i)`` and ``skip(x, i)`` for each block i, from 1.
        x (chainer.Variable): the input.
        thetas (list of float): for each block the probability that an element of the shortcut is
            dropped, and that one of the branch is.
        sample (bool): draw masks in test mode too.
    """
    for i, theta in enumerate(thetas, 1):
        x = swapout(stage.skip(x, i), in_sequence(x, *stage.branch(i)), theta, theta, sample=sample)
    return x


class SwapoutStage(BottleneckStage):
    """Bottlenecks that swapout joins with their shortcuts: section 3 of the paper.

    See :class:`~chainer_zoo.links.BottleneckStage`.

    Args:
        in_channels (int): channels of the input.
        width (int): channels of the two narrow layers of each block.
        thetas (list of float): see :func:`_with_swapout`.
        stride (int): of the first convolution and the first shortcut.

    Input: float (B, in_channels, H, W). Output: float (B, 4 * width, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, width: int, thetas: list[float], stride: int = 1) -> None:
        super().__init__(in_channels, width, stride, len(thetas))
        self.thetas = thetas

    def forward(self, x: Variable, sample: bool = False) -> Variable:
        """Return the stage's output; see :func:`_with_swapout`."""
        return _with_swapout(self, x, self.thetas, sample)


class PlainSwapoutStage(BasicStage):
    """Blocks of two 3x3 convolutions that swapout joins with their shortcuts.

    See :class:`~chainer_zoo.links.BasicStage`.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output.
        thetas (list of float): see :func:`_with_swapout`.
        stride (int): of the first convolution and the first shortcut.

    Input: float (B, in_channels, H, W). Output: float (B, out_channels, H / stride, W / stride).
    """

    def __init__(
        self, in_channels: int, out_channels: int, thetas: list[float], stride: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, stride, len(thetas))
        self.thetas = thetas

    def forward(self, x: Variable, sample: bool = False) -> Variable:
        """Return the stage's output; see :func:`_with_swapout`."""
        return _with_swapout(self, x, self.thetas, sample)


class Swapout(chainer.Chain):
    """Swapout v2 (32) W x 4, Linear (0, 0.5): section 4 of the paper.

    In test mode the masks stay on: the network is sampled several times with batch normalization in
    test mode, and the result is the average of the softmaxes (section 3.1, stochastic inference).

    Args:
        n_class (int): number of classes.
        depth (int): number of layers; int(depth / 6) blocks in each of three stages.
        k (int): width: the stages' narrow layers have 16 k, 32 k and 64 k channels.
        first_theta (float): where the line of thetas over the blocks starts.
        last_theta (float): where it ends, which the last block misses by one step.
        stochastic_inference (bool): in test mode, average samples; else one pass without masks.
        samples (int): how many samples are averaged.
        variant (str): ``'original'``, bottlenecks; or ``'2016-11-24'``, blocks of two 3x3
            convolutions, with which 94.35 was measured (depth 62).

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class); with stochastic
    inference in test mode, probabilities (B, n_class) that sum to 1.

    Source: nutszebra/swapout, swapout.py, at ff1b5c0; ``'2016-11-24'`` at 9df7ef8.

    Differences:
        From the paper: bottleneck blocks of three layers where the paper has two 3x3 layers, so
        depth 32 is 47 layers; theta ends one step short of 0.5; shortcuts pick pixels and append
        zero channels; the last 1x1 convolution comes before the global average; convolutions have
        biases; masks are scaled by 1 / (1 - theta) in training, as dropout is.
        From the original: none. Its test loss too takes the averaged probabilities for logits.
    """

    def __init__(
        self,
        n_class: int = 10,
        depth: int = 32,
        k: int = 4,
        first_theta: float = 0.0,
        last_theta: float = 0.5,
        stochastic_inference: bool = True,
        samples: int = 30,
        variant: str = 'original',
    ) -> None:
        super().__init__()
        self.stochastic_inference = stochastic_inference
        self.samples = samples
        n = depth // 6
        # as the original: theta misses its end by one step
        thetas = linear_schedule(first_theta, last_theta, 3 * n)
        stage_class = SwapoutStage if variant == 'original' else PlainSwapoutStage
        with self.init_scope():
            self.conv1 = Convolution2D(3, 16 * k, 3, 1, 1)
            channels = 16 * k
            for i, width in enumerate((16 * k, 32 * k, 64 * k)):
                stage = stage_class(
                    channels, width, thetas[i * n : (i + 1) * n], stride=1 if i == 0 else 2
                )
                setattr(self, f'res_block_with_swapout{i + 1}', stage)
                channels = stage.out_channels
            self.bn_relu_conv = BNReLUConv(channels, n_class, 1, 1, 0)

    @property
    def gives_probabilities(self) -> bool:
        """Whether it returns probabilities now, and not logits."""
        return self.stochastic_inference and not chainer.config.train

    def forward(self, x: Variable) -> Variable:
        if not self.gives_probabilities:
            return self.logits(x)
        # as the original: probabilities, though they are used as logits are
        n = self.samples
        return sum(F.softmax(self.logits(x, sample=True)) for _ in range(n)) / n

    def logits(self, x: Variable, sample: bool = False) -> Variable:
        """Return the logits of one pass, float32 (B, n_class).

        Args:
            x (chainer.Variable): images (B, 3, 32, 32).
            sample (bool): draw masks in test mode too.
        """
        h = self.conv1(x)  # (B, 64, 32, 32)
        for i in (1, 2, 3):
            h = self[f'res_block_with_swapout{i}'](h, sample)
        # (B, 256, 32, 32), (B, 512, 16, 16), (B, 1024, 8, 8)
        h = self.bn_relu_conv(h)  # (B, n_class, 8, 8)
        return F.average(h, axis=(2, 3))
