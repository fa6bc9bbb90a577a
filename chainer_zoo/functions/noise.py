"""Where a model's randomness comes from (first form: NumPy draws, one generator)."""
import contextlib

import chainer
import numpy as np

chainer.global_config.chainer_zoo_noise = True


def is_on():
    """Return whether noise acts: in training mode, outside :func:`no_noise`."""
    return chainer.config.train and chainer.config.chainer_zoo_noise


@contextlib.contextmanager
def no_noise():
    """Switch off every noise source of a model in training mode, in this thread.

    Dropout, stochastic depth, swapout and drop-path then keep everything, unscaled.
    """
    with chainer.using_config('chainer_zoo_noise', False):
        yield


class NoiseGenerator(object):
    """The one source of a model's random numbers."""

    def __init__(self, seed=0):
        self.seed(seed)

    def seed(self, seed):
        """Start again from ``seed`` (int)."""
        self._rng = np.random.RandomState(seed)

    def uniform(self):
        """Return one float in [0, 1)."""
        return self._rng.uniform()


generator = NoiseGenerator()
