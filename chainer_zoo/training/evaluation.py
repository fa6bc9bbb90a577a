"""Testing a model: loss, accuracy and which class is taken for which."""
import chainer
import chainer.functions as F
import numpy as np

from chainer_zoo.errors import UserError


class Evaluation(object):
    """What a model reaches on some pictures.

    Args:
        loss (float): softmax cross entropy (nats), the mean over the pictures.
        confusion (numpy.ndarray): counts (n_class, n_class), int64: row the true class, column the
            predicted one.
    """

    def __init__(self, loss, confusion):
        self.loss = loss
        self.confusion = confusion

    @property
    def n(self):
        """Number of pictures."""
        return int(self.confusion.sum())

    @property
    def accuracy(self):
        """Share of the pictures that are classified right, 0 to 1."""
        return float(self.confusion.trace()) / self.n

    @property
    def per_class(self):
        """List: the share of each class that is classified right, NaN for a class without pictures."""
        return [float(row[i]) / row.sum() if row.sum() else float('nan')
                for i, row in enumerate(self.confusion)]


def evaluate(model, x, y, pictures, batch, n_class):
    """Test a model, ``batch`` pictures at a time, which bounds the memory.

    Args:
        model (chainer.Chain): gives logits (B, n_class); on any device.
        x (numpy.ndarray): uint8 pictures (N, 3, H, W).
        y (numpy.ndarray): their N labels, 0 to n_class - 1.
        pictures (chainer_zoo.data.pictures.Pictures): prepares a batch with ``test``.
        batch (int): pictures at a time.
        n_class (int): number of classes.

    Returns:
        Evaluation: losses are summed in float64, so the size of the batches does not matter.

    Raises:
        UserError: there are no pictures, or labels that the model has no class for.
    """
    if not len(x):
        raise UserError('there are no pictures to test on')
    if y.min() < 0 or y.max() >= n_class:
        raise UserError('labels go from {} to {}, but the model has {} classes'.format(
            y.min(), y.max(), n_class))
    total = 0.
    confusion = np.zeros((n_class, n_class), np.int64)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        for start in range(0, len(x), batch):
            part = model.xp.asarray(x[start:start + batch])
            truth = y[start:start + batch]
            logits = model(pictures.test(part))  # (B, n_class)
            losses = F.softmax_cross_entropy(
                logits, model.xp.asarray(truth, dtype=np.int32), reduce='no').array
            total += float(losses.sum(dtype=np.float64))
            predicted = chainer.cuda.to_cpu(logits.array.argmax(axis=1))
            np.add.at(confusion, (truth, predicted), 1)
    return Evaluation(total / len(x), confusion)
