"""One update: a batch in parts, gradients summed."""

import math

import chainer
import chainer.functions as F
from chainer import reporter
from chainer.training import updaters

from chainer_zoo.errors import UserError


def epoch_of(updater):
    """Return the epoch, from 1 on, that the last update belongs to."""
    return updater.epoch if updater.is_new_epoch else updater.epoch + 1


def must_be_finite(value, what, updater):
    """Stop the run where a number is not finite.

    Args:
        value (float): the number.
        what (str): what it is.
        updater (chainer.training.Updater): says where the run is.

    Raises:
        UserError: it is infinite or NaN.
    """
    if not math.isfinite(value):
        raise UserError(
            f'the {what} is {value} in epoch {epoch_of(updater)}: go on from the last good snapshot (--resume) or start again '
            'with a smaller rate (-lr)'
        )


def weights_must_be_finite(updater):
    """Stop the run where its weights are lost; a ReLU may turn NaN into 0 and hide it from the loss.

    Raises:
        UserError: names the parameter.
    """
    for path, param in updater.get_optimizer('main').target.namedparams():
        must_be_finite(float(param.array.sum(dtype='d')), 'sum of ' + path, updater)


class SplitBatchUpdater(updaters.StandardUpdater):
    """Splits each batch into parts, sums their gradients and makes one update.

    The loss of each part is divided by the number of parts. Batch normalization sees one part at
    a time, so its statistics are over batch / divide images.

    Source: nutszebra/trainer, nutszebra_cifar10.py, ``train_one_epoch``.

    Args:
        iterator: yields index arrays (batch,), see :mod:`chainer_zoo.data.sampler`.
        optimizer (chainer.Optimizer): set up for the model.
        x: uint8 images (N, 3, 32, 32), on the model's device.
        y: int32 labels (N,), there too.
        images (chainer_zoo.data.images.ImagePipeline): prepares a part.
        rng (numpy.random.RandomState): draws sizes, crops and flips.
        divide (int): parts a batch.
    """

    def __init__(self, iterator, optimizer, x, y, images, rng, divide):
        super().__init__(iterator, optimizer)
        self.x, self.y = x, y
        self.images = images
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
            chosen = model.xp.asarray(indices[start : start + part])
            x = self.images.train(self.x[chosen], self.rng)
            loss = self._loss(model, chainer.Variable(x), self.y[chosen]) / self.divide
            loss.backward(loss_scale=optimizer._loss_scale)
            total += float(loss.array)
        must_be_finite(total, 'loss', self)
        optimizer.update()
        reporter.report({'loss': total}, model)

    @staticmethod
    def _loss(model, x, t):
        """A model with more than one output knows its own loss (auxiliary classifiers)."""
        if hasattr(model, 'loss'):
            return model.loss(x, t)
        return F.softmax_cross_entropy(model(x), t)
