"""Testing a model: loss, accuracy and which class is taken for which."""

import chainer
import chainer.functions as F
import numpy as np

from chainer_zoo.errors import UserError


class Evaluation:
    """What a model reaches on some images.

    Args:
        loss (float): softmax cross entropy (nats), the mean over the images.
        confusion (numpy.ndarray): counts (n_class, n_class), int64: row the true class, column the
            predicted one.
    """

    def __init__(self, loss, confusion):
        self.loss = loss
        self.confusion = confusion

    @property
    def n(self):
        """Number of images."""
        return int(self.confusion.sum())

    @property
    def accuracy(self):
        """Share of the images that are classified right, 0 to 1."""
        return float(self.confusion.trace()) / self.n

    @property
    def per_class(self):
        """List: the share of each class that is classified right, NaN for a class without images."""
        return [
            float(row[i]) / row.sum() if row.sum() else float('nan')
            for i, row in enumerate(self.confusion)
        ]


def evaluate(model, x, y, images, batch, n_class):
    """Test a model, ``batch`` images at a time, which bounds the memory.

    Args:
        model (chainer.Chain): gives logits (B, n_class); on any device.
        x (numpy.ndarray): uint8 images (N, 3, H, W).
        y (numpy.ndarray): their N labels, 0 to n_class - 1.
        images (chainer_zoo.data.images.ImagePipeline): prepares a batch with ``test``.
        batch (int): images at a time.
        n_class (int): number of classes.

    Returns:
        Evaluation: losses are summed in float64, so the size of the batches does not matter.

    Raises:
        UserError: there are no images, or labels that the model has no class for.
    """
    if not len(x):
        raise UserError('there are no images to test on')
    if y.min() < 0 or y.max() >= n_class:
        raise UserError(
            f'labels go from {y.min()} to {y.max()}, but the model has {n_class} classes'
        )
    total = 0.0
    confusion = np.zeros((n_class, n_class), np.int64)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        for start in range(0, len(x), batch):
            part = model.xp.asarray(x[start : start + batch])
            truth = y[start : start + batch]
            logits = model(images.test(part))  # (B, n_class)
            losses = F.softmax_cross_entropy(
                logits, model.xp.asarray(truth, dtype=np.int32), reduce='no'
            ).array
            total += float(losses.sum(dtype=np.float64))
            predicted = chainer.cuda.to_cpu(logits.array.argmax(axis=1))
            np.add.at(confusion, (truth, predicted), 1)
    return Evaluation(total / len(x), confusion)
