"""Neural Architecture Search with Reinforcement Learning (Zoph, Le 2016), appendix A."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import SequentialChain
from chainer_zoo.sequence import Step

#: Channels, kernel height and kernel width of each layer: figure 7 of the paper.
LAYERS = (
    (36, 3, 3),
    (48, 3, 3),
    (36, 3, 3),
    (36, 5, 5),
    (48, 3, 7),
    (48, 7, 7),
    (48, 7, 7),
    (36, 7, 3),
    (36, 7, 1),
    (36, 7, 7),
    (36, 5, 7),
    (48, 7, 7),
    (48, 7, 5),
    (48, 7, 5),
    (48, 7, 5),
)

#: The layers, from 0, that each layer takes its input from; the first takes the image.
INPUTS = (
    (),
    (0,),
    (0, 1),
    (0, 1, 2),
    (2, 3),
    (1, 2, 3, 4),
    (1, 2, 3, 4, 5),
    (0, 5, 6),
    (0, 4, 5, 7),
    (0, 2, 3, 4, 5, 6, 7, 8),
    (0, 1, 4, 5, 6, 7, 8, 9),
    (0, 1, 2, 3, 5, 10),
    (0, 2, 5, 6, 7, 8, 9, 10, 11),
    (2, 6, 11, 12),
    (6, 10, 11, 12, 13),
)


class ConvReLUBN(SequentialChain):
    """BN(ReLU(convolution(x))), in this order.

    Args: as :class:`~chainer_zoo.links.Convolution2D`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ksize: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        pad: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = Convolution2D(in_channels, out_channels, ksize, stride, pad)
            self.bn = BatchNormalization(out_channels)

    @property
    def sequence(self) -> tuple[Step, ...]:
        return self.conv, F.relu, self.bn


class Convolution(chainer.Chain):
    """A convolution, one level down in the paths of parameters, as the original's files have it.

    Args:
        in_channels (int): channels of the input.
        out_channels (int): channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = Convolution2D(in_channels, out_channels, 1, 1, 0)

    def forward(self, x: Variable) -> Variable:
        return self.conv(x)


def concat_padded(xs: list[Variable]) -> Variable:
    """Concatenate the channels of feature maps of unequal size.

    Section 3.3 of the paper: smaller maps are padded with zeros; here at the bottom and the right.

    Args:
        xs (list of chainer.Variable): float (B, C_i, H_i, W_i).

    Returns:
        chainer.Variable: float (B, sum of C_i, max of H_i, max of W_i).
    """
    height, width = (max(x.shape[axis] for x in xs) for axis in (2, 3))
    padded = []
    for x in xs:
        more = height - x.shape[2], width - x.shape[3]
        padded.append(
            F.pad(x, ((0, 0), (0, 0), (0, more[0]), (0, more[1])), 'constant') if any(more) else x
        )
    return F.concat(padded)


class NAS(chainer.Chain):
    """The network of 15 layers without strides or pooling: figure 7 in appendix A of the paper.

    Args:
        n_class (int): number of classes.
        variant (str): ``'original'``, what the original code computes (4,119,708 weights), or
            ``'paper'``, the paper's connections (4,200,348 weights; table 1 says 4.2 M);
            ``'article'``, the original with ReLU and BN after the classifier's convolution, as
            when the article's 90.35 was measured.

    Input: float32 images (B, 3, 32, 32). Output: float32 logits (B, n_class).

    Source: nutszebra/neural_architecture_search_with_reinforcement_learning_appendix_a,
    neural_architecture_search_appendix_a.py, at 8726118; ``'article'`` at 508da63.

    Differences:
        From the paper, as the original: layers do not pad their input, so maps shrink and maps of
        unequal size are joined; the input that the last layer takes from the sixth is missing.
        Filters are the paper's.
        From the original, with ``variant='paper'``: that connection is there, which makes up the
        paper's number of weights; layers pad their input, so every map is as large as the image
        and no map is padded when joined. The paper does not say so, but without padding most
        networks of its search space have no size left, and section 3.3 does not count that among
        the reasons for which a network does not work.
        Left open by the paper: whether ReLU comes before or after batch normalization (before, as
        the original), and whether a convolution has biases (yes, as the original). The original's
        table of connections lists one from the second layer to the classifier that its code does
        not use; neither variant has it, as section 3.3 gives the classifier only what no layer
        takes.
    """

    def __init__(self, n_class: int = 10, variant: str = 'original') -> None:
        super().__init__()
        self.inputs = [list(inputs) for inputs in INPUTS]
        if variant == 'paper':
            self.inputs[14].insert(0, 5)
        with self.init_scope():
            for i, (channels, height, width) in enumerate(LAYERS):
                in_channels = sum(LAYERS[j][0] for j in self.inputs[i]) or 3
                pad = (height // 2, width // 2) if variant == 'paper' else 0
                setattr(
                    self, f'conv{i}', ConvReLUBN(in_channels, channels, (height, width), 1, pad)
                )
            if variant == 'article':
                self.linear = ConvReLUBN(channels, n_class, 1)
            else:
                self.linear = Convolution(channels, n_class)

    def forward(self, x: Variable) -> Variable:
        outputs = []
        for i, inputs in enumerate(self.inputs):
            h = concat_padded([outputs[j] for j in inputs]) if inputs else x
            outputs.append(self[f'conv{i}'](h))
        h = F.average(outputs[-1], axis=(2, 3), keepdims=True)  # (B, 48, 1, 1)
        return F.squeeze(self.linear(h), axis=(2, 3))
