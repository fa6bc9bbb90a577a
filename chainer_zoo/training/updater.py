"""One update: a batch in parts, gradients summed."""
import math

import chainer
import chainer.functions as F
from chainer import reporter
from chainer.training import updaters

from chainer_zoo.errors import UserError


class SplitBatchUpdater(updaters.StandardUpdater):
    """Splits each batch into parts, sums their gradients and makes one update.

    The loss of each part is divided by the number of parts. Batch normalization sees one part at
    a time, so its statistics are over batch / divide pictures.

    Source: nutszebra/trainer, nutszebra_cifar10.py, ``train_one_epoch``.

    Args:
        iterator: yields index arrays (batch,), see :mod:`chainer_zoo.data.sampler`.
        optimizer (chainer.Optimizer): set up for the model.
        x: uint8 pictures (N, 3, 32, 32), on the model's device.
        y: int32 labels (N,), there too.
        pictures (chainer_zoo.data.pictures.Pictures): prepares a part.
        rng (numpy.random.RandomState): draws sizes, crops and flips.
        divide (int): parts a batch.
    """

    def __init__(self, iterator, optimizer, x, y, pictures, rng, divide):
        super(SplitBatchUpdater, self).__init__(iterator, optimizer)
        self.x, self.y = x, y
        self.pictures = pictures
        self.rng = rng
        self.divide = divide

    def update_core(self):
        indices = self.get_iterator('main').next()
        optimizer = self.get_optimizer('main')
        model = optimizer.target
        part = len(indices) // self.divide
        model.cleargrads()
        total = 0.0
        for start in range(0, len(indices), part):
            # on the data's device: a GPU indexes by arrays of its own
            chosen = model.xp.asarray(indices[start:start + part])
            x = self.pictures.train(self.x[chosen], self.rng)
            loss = self._loss(model, chainer.Variable(x), self.y[chosen]) / self.divide
            loss.backward(loss_scale=optimizer._loss_scale)
            total += float(loss.array)
        if not math.isfinite(total):
            raise UserError(
                'the loss is {} in epoch {}, update {}: nothing was updated with it; start again '
                'from the last good snapshot (--resume) or with a smaller rate (-lr)'.format(
                    total, self.epoch + 1, self.iteration + 1))
        optimizer.update()
        reporter.report({'loss': total}, model)

    @staticmethod
    def _loss(model, x, t):
        """A model with more than one output knows its own loss (auxiliary classifiers)."""
        if hasattr(model, 'loss'):
            return model.loss(x, t)
        return F.softmax_cross_entropy(model(x), t)
