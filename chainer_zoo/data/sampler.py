"""Which images make a batch."""

from __future__ import annotations

from typing import Any

import chainer
import numpy as np
from chainer import dataset

from chainer_zoo.errors import UserError
from chainer_zoo.records import shown

_MAX_ITERATION = 10**12


class RandomBatches(dataset.Iterator):
    """Draws batches of indices as the original: each from all images, whatever was drawn before.

    An epoch is ``int(n / batch_size)`` draws, each the beginning of a fresh random permutation of
    all ``n`` images. So all batches are full, none has an image twice, and within an epoch some
    images come several times and others not at all.

    Source: yield_random_batch_samples of the original's nutszebra_sampling.py, as of March 2017.

    Differences:
        - The draws come from ``rng``. The original takes NumPy's global generator and never seeds
          it, so that no run repeats; from the same state the indices are the same. (Since 82bdd13
          of February 2018, after the article, it seeds it anew from the operating system before
          each draw.)

    Args:
        n: Number of images.
        batch_size: Indices in a batch.
        rng: Where the draws come from.

    Attributes:
        batch_size: Indices in a batch.
        iteration: Batches drawn so far.
        epoch: Whole epochs drawn so far.
        epoch_detail: The same with its fraction.
        previous_epoch_detail: ``epoch_detail`` before the last draw; None before the first.
        is_new_epoch: Whether the last draw ended an epoch.

    Raises:
        UserError: If ``batch_size`` is not in 1..n.
    """

    def __init__(self, n: int, batch_size: int, rng: np.random.RandomState) -> None:
        if not 1 <= batch_size <= n:
            raise UserError(
                f'a batch of {batch_size} cannot be drawn from {n} training images: '
                f'it must be 1 to {n}'
            )
        self.n = n
        self.batch_size = batch_size
        self.iteration = 0
        self._rng = rng

    @property
    def _epoch_length(self) -> int:
        return self.n // self.batch_size

    @property
    def epoch(self) -> int:
        return self.iteration // self._epoch_length

    @property
    def epoch_detail(self) -> float:
        return self.iteration / self._epoch_length

    @property
    def previous_epoch_detail(self) -> float | None:
        return (self.iteration - 1) / self._epoch_length if self.iteration else None

    @property
    def is_new_epoch(self) -> bool:
        return self.iteration > 0 and self.iteration % self._epoch_length == 0

    def __next__(self) -> np.ndarray:
        """Return the next batch, int64 (B,). It never ends."""
        self.iteration += 1
        return self._rng.permutation(self.n)[: self.batch_size].astype(np.int64)

    next = __next__

    def serialize(self, serializer: chainer.AbstractSerializer) -> None:
        """Save or load how far it has come, with the exact state of its generator.

        Raises:
            UserError: If what is loaded was saved with another number of images or batch size, or
                cannot be.
        """
        for name in ('n', 'batch_size'):
            value = int(serializer(name, getattr(self, name)))
            if value != getattr(self, name):
                raise UserError(
                    f'cannot resume: the run was saved with {name} = {value} and this one has '
                    f'{getattr(self, name)}; give it the same data and batch size'
                )
        self.iteration = _in_range(serializer, 'iteration', self.iteration, _MAX_ITERATION)
        serialize_rng(serializer['rng'], self._rng)


def serialize_rng(serializer: chainer.AbstractSerializer, rng: np.random.RandomState) -> None:
    """Save or load the exact state of a random generator.

    Args:
        serializer: Where to, or where from.
        rng: Its state is changed in place when loading.

    Raises:
        UserError: If what is loaded is no state of such a generator.
    """
    state: dict[str, Any] = rng.get_state(legacy=False)
    twister = state['state']
    twister['key'] = np.asarray(serializer('key', twister['key']), dtype=np.uint32)
    # NumPy believes any position, and reads beyond its state
    twister['pos'] = _in_range(serializer, 'position', twister['pos'], twister['key'].size)
    state['has_gauss'] = _in_range(serializer, 'has_gauss', state['has_gauss'], 1)
    state['gauss'] = float(serializer('gauss', state['gauss']))
    rng.set_state(state)


def _in_range(serializer: chainer.AbstractSerializer, name: str, value: int, high: int) -> int:
    """Save or load a whole number from 0 to ``high``."""
    value = int(serializer(name, value))
    if not 0 <= value <= high:
        raise UserError(f'cannot resume: {name} is {shown(value)}, expected 0 to {high:,}')
    return value
