"""Very Deep Convolutional Networks for Large-Scale Image Recognition (Simonyan et al. 2014)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.functions import dropout
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import in_sequence


class VGGA(chainer.Chain):
    """VGG with 11 layers: column A of table 1 of the paper, made fully convolutional (section 3.2).

    Args:
        n_class (int): number of classes.

    Input: float32 images (B, 3, H, W), 224 pixels a side in training, 384 at test, at least 193.
    Output: float32 logits (B, n_class), the mean over the class map.

    Source: nutszebra/vgg, vgg_a.py, at 6e4fc33.

    Differences:
        From the paper: dropout comes before the first and the second fully connected layer, not
        after them, so the last one sees every feature; the layers are convolutions in training
        too; the start is not a shallower trained network's.
        From the original: none.
    """

    def __init__(self, n_class: int = 10) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1 = Convolution2D(3, 64, 3, 1, 1)
            self.conv2 = Convolution2D(64, 128, 3, 1, 1)
            self.conv3_1 = Convolution2D(128, 256, 3, 1, 1)
            self.conv3_2 = Convolution2D(256, 256, 3, 1, 1)
            self.conv4_1 = Convolution2D(256, 512, 3, 1, 1)
            self.conv4_2 = Convolution2D(512, 512, 3, 1, 1)
            self.conv5_1 = Convolution2D(512, 512, 3, 1, 1)
            self.conv5_2 = Convolution2D(512, 512, 3, 1, 1)
            self.fc1 = Convolution2D(512, 4096, 7)
            self.fc2 = Convolution2D(4096, 4096, 1)
            self.fc3 = Convolution2D(4096, n_class, 1)

    def forward(self, x: Variable) -> Variable:
        h = in_sequence(x, self.conv1, F.relu)  # (B, 64, 224, 224)
        h = F.max_pooling_2d(h, 2, 2)
        h = in_sequence(h, self.conv2, F.relu)  # (B, 128, 112, 112)
        h = F.max_pooling_2d(h, 2, 2)
        h = in_sequence(h, self.conv3_1, F.relu, self.conv3_2, F.relu)  # (B, 256, 56, 56)
        h = F.max_pooling_2d(h, 2, 2)
        h = in_sequence(h, self.conv4_1, F.relu, self.conv4_2, F.relu)  # (B, 512, 28, 28)
        h = F.max_pooling_2d(h, 2, 2)
        h = in_sequence(h, self.conv5_1, F.relu, self.conv5_2, F.relu)  # (B, 512, 14, 14)
        h = F.max_pooling_2d(h, 2, 2)  # (B, 512, 7, 7)
        # as the original: dropout before the layers fc1 and fc2
        h = in_sequence(dropout(h, 0.5), self.fc1, F.relu)  # (B, 4096, 1, 1); 6x6 from 384 pixels
        h = in_sequence(dropout(h, 0.5), self.fc2, F.relu)
        return F.average(self.fc3(h), axis=(2, 3))
