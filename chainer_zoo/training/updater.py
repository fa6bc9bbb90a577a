"""One update: a batch in micro-batches, whose gradients are summed."""

from __future__ import annotations

import math
from typing import Any

import chainer
import chainer.functions as F
import numpy as np
from chainer import reporter
from chainer.training import updaters

from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.data.sampler import RandomBatches
from chainer_zoo.errors import UserError


def epoch_of(updater: updaters.StandardUpdater) -> int:
    """Return the epoch, from 1 on, that the last update belongs to."""
    return updater.epoch if updater.is_new_epoch else updater.epoch + 1


def must_be_finite(value: float, what: str, updater: updaters.StandardUpdater) -> None:
    """Stop the run where a number is not finite.

    Args:
        value: the number.
        what: what it is.
        updater: says where the run is.

    Raises:
        UserError: it is infinite or NaN.
    """
    if not math.isfinite(value):
        raise UserError(
            f'the {what} is {value} in epoch {epoch_of(updater)}: go on from the last good '
            'snapshot (--resume) or start again with a smaller learning rate (-lr)'
        )


def weights_must_be_finite(updater: updaters.StandardUpdater) -> None:
    """Stop the run where its weights are lost; a ReLU may hide NaN from the loss.

    Raises:
        UserError: names the parameter.
    """
    for path, param in updater.get_optimizer('main').target.namedparams():
        must_be_finite(float(param.array.sum(dtype='d')), f'sum of {path}', updater)


class MicroBatchUpdater(updaters.StandardUpdater):
    """Splits each batch into micro-batches, sums their gradients and makes one update.

    The loss of each micro-batch is divided by ``micro_batches``. Batch normalization sees one at a
    time, so its statistics are over batch / micro_batches images.

    Source: nutszebra/trainer, nutszebra_cifar10.py, ``train_one_epoch``.

    Args:
        iterator: yields index arrays (batch,).
        optimizer: set up for the model.
        x: uint8 images (N, 3, 32, 32), on the model's device.
        y: int32 labels (N,), there too.
        images: prepares a micro-batch.
        rng: draws sizes, crops and flips.
        micro_batches: micro-batches of a batch, each of int(batch / micro_batches) images; what is
            left over is one more.
    """

    def __init__(
        self,
        iterator: RandomBatches,
        optimizer: chainer.GradientMethod,
        x: Any,
        y: Any,
        images: ImagePipeline,
        rng: np.random.RandomState,
        micro_batches: int,
    ) -> None:
        super().__init__(iterator, optimizer)
        self.x, self.y = x, y
        self.images = images
        self.rng = rng
        self.micro_batches = micro_batches

    def update_core(self) -> None:
        """Make one update."""
        indices = self.get_iterator('main').next()
        optimizer = self.get_optimizer('main')
        model = optimizer.target
        size = len(indices) // self.micro_batches
        model.cleargrads()
        total = 0.0
        for start in range(0, len(indices), size):
            # on the data's device: a GPU indexes by arrays of its own
            chosen = model.xp.asarray(indices[start : start + size])
            x = self.images.train(self.x[chosen], self.rng)
            loss = self._loss(model, chainer.Variable(x), self.y[chosen]) / self.micro_batches
            loss.backward(loss_scale=optimizer._loss_scale)
            total += float(loss.array)
        # unlike the original: it goes on with a loss that is not finite
        must_be_finite(total, 'loss', self)
        optimizer.update()
        reporter.report({'loss': total}, model)

    @staticmethod
    def _loss(model: Any, x: chainer.Variable, t: Any) -> Any:
        """A model with more than one output knows its own loss (auxiliary classifiers)."""
        if hasattr(model, 'loss'):
            return model.loss(x, t)
        return F.softmax_cross_entropy(model(x), t)
