"""Very Deep Convolutional Networks for Large-Scale Image Recognition (Simonyan et al. 2014)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import dropout
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import in_sequence

#: Convolutions of each stage, by column of table 1 of the paper.
COLUMNS = {
    'A': (1, 1, 2, 2, 2),
    'B': (2, 2, 2, 2, 2),
    'D': (2, 2, 3, 3, 3),
    'E': (2, 2, 4, 4, 4),
}


class VGGA(chainer.Chain):
    """VGG with 11 layers: column A of table 1 of the paper, made fully convolutional (section 3.2).

    Args:
        n_class (int): number of classes.
        column (str): of table 1 of the paper: ``'A'``, ``'B'``, ``'D'`` (VGG-16) or ``'E'``
            (VGG-19).

    Input: float32 images (B, 3, H, W), 224 pixels a side in training, 384 at test, at least 193.
    Output: float32 logits (B, n_class), the mean over the class map.

    Source: nutszebra/vgg, vgg_a.py, at 6e4fc33.

    Differences:
        From the paper: dropout comes before the first and the second fully connected layer, not
        after them, so the last one sees every feature; the layers are convolutions in training
        too; the start is not a shallower trained network's.
        From the original: none.
    """

    WIDTHS = (64, 128, 256, 512, 512)

    def __init__(self, n_class: int = 10, column: str = 'A') -> None:
        super().__init__()
        self.stages = []
        channels = 3
        with self.init_scope():
            for stage, (width, layers) in enumerate(zip(self.WIDTHS, COLUMNS[column]), 1):
                names = [f'conv{stage}_{i}' for i in range(1, layers + 1)]
                if layers == 1:
                    names = [f'conv{stage}']
                self.stages.append(names)
                for name in names:
                    setattr(self, name, Convolution2D(channels, width, 3, 1, 1))
                    channels = width
            self.fc1 = Convolution2D(channels, 4096, 7)
            self.fc2 = Convolution2D(4096, 4096, 1)
            self.fc3 = Convolution2D(4096, n_class, 1)

    def forward(self, x: Variable) -> Variable:
        h = x
        for names in self.stages:
            steps = [step for name in names for step in (self[name], F.relu)]
            h = F.max_pooling_2d(in_sequence(h, *steps), 2, 2)
        # (B, 64, 112, 112), (B, 128, 56, 56), (B, 256, 28, 28), (B, 512, 14, 14), (B, 512, 7, 7)
        # as the original: dropout before the layers fc1 and fc2
        h = in_sequence(dropout(h, 0.5), self.fc1, F.relu)  # (B, 4096, 1, 1); 6x6 from 384 pixels
        h = in_sequence(dropout(h, 0.5), self.fc2, F.relu)
        return F.average(self.fc3(h), axis=(2, 3))
