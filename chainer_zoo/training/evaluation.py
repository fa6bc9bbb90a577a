"""Testing a model: loss, accuracy and which class is predicted for which."""

from __future__ import annotations

import dataclasses
from typing import Any

import chainer
import chainer.functions as F
import numpy as np
from chainer.backends import cuda

from chainer_zoo.data.images import ImagePipeline
from chainer_zoo.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model reaches on some images.

    Attributes:
        loss: softmax cross entropy (nats), the mean over the images.
        confusion: counts (n_class, n_class), int64: row the true class, column the predicted one.
    """

    loss: float
    confusion: np.ndarray

    @property
    def n(self) -> int:
        """Number of images."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of the images that are classified right, 0 to 1."""
        return float(self.confusion.trace()) / self.n

    @property
    def per_class(self) -> list[float]:
        """The share of each class that is classified right, NaN for a class without images."""
        return [
            float(row[i]) / row.sum() if row.sum() else float('nan')
            for i, row in enumerate(self.confusion)
        ]


def evaluate(
    model: chainer.Chain,
    x: Any,
    y: np.ndarray,
    images: ImagePipeline,
    batch: int,
    n_class: int,
) -> Evaluation:
    """Test a model, ``batch`` images at a time, which bounds the memory.

    Args:
        model: gives logits (B, n_class); on any device.
        x: uint8 images (N, 3, H, W), of NumPy or CuPy.
        y: their N labels, 0 to n_class - 1.
        images: prepares a batch with ``test``.
        batch: images at a time.
        n_class: number of classes.

    Returns:
        What it reaches. Losses are summed in float64, so the size of the batches does not matter.

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
            predicted = cuda.to_cpu(logits.array.argmax(axis=1))
            np.add.at(confusion, (truth, predicted), 1)
    return Evaluation(total / len(x), confusion)
