"""Going deeper with convolutions (Szegedy et al. 2014)."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.errors import UserError
from chainer_zoo.functions import dropout
from chainer_zoo.links import Convolution2D
from chainer_zoo.links import Linear
from chainer_zoo.sequence import in_parallel
from chainer_zoo.sequence import in_sequence


class Inception(chainer.Chain):
    """1x1, 3x3, 5x5 and pooling side by side: figure 2 (b) of the paper, ReLU after each.

    Args:
        in_channels (int): channels of the input.
        conv1x1, reduce3x3, conv3x3, reduce5x5, conv5x5, pool_proj (ints): channels, named as the
            columns of table 1.

    Input: float (B, in_channels, H, W).
    Output: float (B, conv1x1 + conv3x3 + conv5x5 + pool_proj, H, W), in that order.
    """

    def __init__(
        self,
        in_channels: int,
        conv1x1: int,
        reduce3x3: int,
        conv3x3: int,
        reduce5x5: int,
        conv5x5: int,
        pool_proj: int,
    ) -> None:
        super().__init__()
        with self.init_scope():
            self.conv1x1 = Convolution2D(in_channels, conv1x1, 1)
            self.reduce3x3 = Convolution2D(in_channels, reduce3x3, 1)
            self.conv3x3 = Convolution2D(reduce3x3, conv3x3, 3, 1, 1)
            self.reduce5x5 = Convolution2D(in_channels, reduce5x5, 1)
            self.conv5x5 = Convolution2D(reduce5x5, conv5x5, 5, 1, 2)
            self.pool_proj = Convolution2D(in_channels, pool_proj, 1)

    def forward(self, x: Variable) -> Variable:
        h = in_parallel(
            (x, self.conv1x1),
            (x, self.reduce3x3, F.relu, self.conv3x3),
            (x, self.reduce5x5, F.relu, self.conv5x5),
            (F.max_pooling_2d(x, 3, 1, 1), self.pool_proj),
        )
        return F.relu(h)


class AuxiliaryClassifier(chainer.Chain):
    """A classifier on a map in the middle of the network: section 5 of the paper.

    Args:
        in_channels (int): channels of the map.
        n_class (int): number of classes.

    Input: float (B, in_channels, H, W), 14 to 16 pixels a side. Output: float (B, n_class).
    """

    def __init__(self, in_channels: int, n_class: int) -> None:
        super().__init__()
        with self.init_scope():
            self.conv = Convolution2D(in_channels, 128, 1)
            self.fc = Linear(128 * 4 * 4, 1024)
            self.linear = Linear(1024, n_class)

    def forward(self, x: Variable) -> Variable:
        h = F.average_pooling_2d(x, 5, 3)
        if h.shape[2:] != (4, 4):
            raise UserError(
                'the auxiliary classifiers need a map of 14 to 16 pixels a side, not '
                f'{x.shape[2]}x{x.shape[3]}: train with images of 224 pixels'
            )
        h = in_sequence(h, self.conv, F.relu)  # (B, 128, 4, 4)
        h = F.relu(self.fc(h))  # (B, 1024)
        return self.linear(dropout(h, 0.7))


class GoogLeNet(chainer.Chain):
    """GoogLeNet: table 1 and figure 3 of the paper.

    Args:
        n_class (int): number of classes.
        auxiliary (bool): add the paper's two auxiliary classifiers, after 4a and 4d. They exist
            for :meth:`loss` in training alone.

    Input: float32 images (B, 3, H, W), 224 pixels a side in training, 384 at test.
    Output: float32 logits (B, n_class).

    Source: nutszebra/googlenet, googlenet.py, at e5e01b2.

    Differences:
        From the paper: no local response normalization; no auxiliary classifiers by default; pools
        are padded and cover the whole map, so that the stages have 57, 29, 15 and 8 pixels a side
        instead of 56, 28, 14 and 7.
        From the original: none by default; auxiliary classifiers are added.
    """

    #: Weight of an auxiliary classifier's loss, section 5 of the paper.
    auxiliary_weight = 0.3

    def __init__(self, n_class: int = 10, auxiliary: bool = False) -> None:
        super().__init__()
        self.auxiliary = auxiliary
        with self.init_scope():
            self.conv1 = Convolution2D(3, 64, 7, 2, 3)
            self.conv2_1x1 = Convolution2D(64, 64, 1)
            self.conv2_3x3 = Convolution2D(64, 192, 3, 1, 1)
            self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
            self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
            self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
            self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
            self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
            self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
            self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
            self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
            self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
            self.linear = Linear(1024, n_class)
            if auxiliary:
                self.auxiliary4a = AuxiliaryClassifier(512, n_class)
                self.auxiliary4d = AuxiliaryClassifier(528, n_class)

    def forward(self, x: Variable) -> Variable:
        return self._logits(x)[0]

    def loss(self, x: Variable, t: Variable) -> Variable:
        """Return the loss that training makes small.

        Args:
            x (array or :class:`~chainer.Variable`): float32 images (B, 3, H, W).
            t (array or :class:`~chainer.Variable`): int32 classes (B,).

        Returns:
            :class:`~chainer.Variable`: float32 (), the mean softmax cross entropy in nats; with
            ``auxiliary``, in training mode, plus 0.3 times that of each auxiliary classifier.

        Raises:
            UserError: images of a size that the auxiliary classifiers cannot take.
        """
        logits = self._logits(x, self.auxiliary and chainer.config.train)
        loss = F.softmax_cross_entropy(logits[0], t)
        for y in logits[1:]:
            loss += self.auxiliary_weight * F.softmax_cross_entropy(y, t)
        return loss

    def _logits(self, x, auxiliary=False):
        """Return the logits and, if asked for, those of the auxiliary classifiers, in a list."""
        h = in_sequence(x, self.conv1, F.relu)  # (B, 64, 112, 112)
        h = F.max_pooling_2d(h, 3, 2, 1)  # (B, 64, 57, 57)
        h = in_sequence(h, self.conv2_1x1, F.relu, self.conv2_3x3, F.relu)  # (B, 192, 57, 57)
        h = F.max_pooling_2d(h, 3, 2, 1)  # (B, 192, 29, 29)
        h = self.inception3a(h)
        h = self.inception3b(h)  # (B, 480, 29, 29)
        h = F.max_pooling_2d(h, 3, 2, 1)  # (B, 480, 15, 15)
        h_4a = self.inception4a(h)
        h = self.inception4b(h_4a)
        h = self.inception4c(h)
        h_4d = self.inception4d(h)  # (B, 528, 15, 15)
        h = self.inception4e(h_4d)
        h = F.max_pooling_2d(h, 3, 2, 1)  # (B, 832, 8, 8)
        h = self.inception5a(h)
        h = self.inception5b(h)  # (B, 1024, 8, 8)
        h = F.average(h, axis=(2, 3))
        logits = [self.linear(dropout(h, 0.4))]
        if auxiliary:
            logits += [self.auxiliary4a(h_4a), self.auxiliary4d(h_4d)]
        return logits
