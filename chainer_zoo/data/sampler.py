"""Which images make a batch."""

import numpy as np
from chainer import dataset

from chainer_zoo.errors import UserError


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
        n (int): Number of images.
        batch_size (int): Indices in a batch.
        rng (numpy.random.RandomState): Where the draws come from.

    Attributes:
        batch_size (int): Indices in a batch.
        iteration (int): Batches drawn so far.
        epoch (int): Whole epochs drawn so far.
        epoch_detail (float): The same with its fraction.
        previous_epoch_detail (float): ``epoch_detail`` before the last draw; None before the first.
        is_new_epoch (bool): Whether the last draw ended an epoch.

    Raises:
        UserError: If ``batch_size`` is not in 1..n.
    """

    def __init__(self, n, batch_size, rng):
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
    def _epoch_length(self):
        return self.n // self.batch_size

    @property
    def epoch(self):
        return self.iteration // self._epoch_length

    @property
    def epoch_detail(self):
        return self.iteration / self._epoch_length

    @property
    def previous_epoch_detail(self):
        return (self.iteration - 1) / self._epoch_length if self.iteration else None

    @property
    def is_new_epoch(self):
        return self.iteration > 0 and self.iteration % self._epoch_length == 0

    def __next__(self):
        """Return the next batch, int64 (B,). It never ends."""
        self.iteration += 1
        return self._rng.permutation(self.n)[: self.batch_size].astype(np.int64)

    next = __next__

    def serialize(self, serializer):
        """Save or load how far it has come, with the exact state of its generator.

        Raises:
            UserError: If what is loaded was saved with another number of images or batch size.
        """
        for name in ('n', 'batch_size'):
            value = int(serializer(name, getattr(self, name)))
            if value != getattr(self, name):
                raise UserError(
                    f'cannot resume: the run was saved with {name} = {value} and this one has {getattr(self, name)}; give it '
                    'the same data and batch size'
                )
        self.iteration = int(serializer('iteration', self.iteration))
        serialize_rng(serializer['rng'], self._rng)


def serialize_rng(serializer, rng):
    """Save or load the exact state of a random generator.

    Args:
        serializer (chainer.AbstractSerializer): Where to, or where from.
        rng (numpy.random.RandomState): Its state is changed in place when loading.
    """
    name, key, position, has_gauss, gauss = rng.get_state()
    key = serializer('key', key)
    position = serializer('position', position)
    has_gauss = serializer('has_gauss', has_gauss)
    gauss = serializer('gauss', gauss)
    rng.set_state(
        (name, np.asarray(key, dtype=np.uint32), int(position), int(has_gauss), float(gauss))
    )
