"""The article's initialization: He variance, orthogonal inside each output channel."""

import contextlib

import chainer
import numpy as np

chainer.global_config.chainer_zoo_fill = True


@contextlib.contextmanager
def unfilled():
    """Leave weights as they come from memory, in this thread.

    For whoever needs a network's structure only: memory that nobody writes costs nothing, so
    the largest model is built in a moment.
    """
    with chainer.using_config('chainer_zoo_fill', False):
        yield


class HeOrthogonal(chainer.initializer.Initializer):
    """Weights with He's variance whose rows are orthogonal inside one output channel.

    For each output channel apart: a Gaussian (C, KH * KW) of variance 2 / (C * KH * KW), from its
    singular value decomposition the factor of that shape, scaled to the standard deviation
    sqrt(variance) and shifted to mean 0. For a 1x1 kernel and for a linear layer this only scales.

    Source: nutszebra/trainer, nutszebra_initialization.py and nutszebra_chainer.py; the variance
    is that of He et al., "Delving Deep into Rectifiers", section 2.2.

    Args:
        rng (numpy.random.RandomState): where the Gaussians come from; NumPy's global generator
            if None.
    """

    def __init__(self, rng=None, dtype=None):
        super().__init__(dtype)
        self.rng = rng

    def __call__(self, array):
        """Fill ``array``, float (O, C, KH, KW) or (O, C), in place."""
        if not chainer.config.chainer_zoo_fill:
            return
        rng = np.random if self.rng is None else self.rng
        xp = chainer.backend.get_array_module(array)
        channels_out, channels_in = array.shape[:2]
        pixels = int(np.prod(array.shape[2:], dtype=int))
        std = np.sqrt(2.0 / (channels_in * pixels))
        # The Gaussians are drawn in the original's order, so one seed gives its weights.
        w = rng.normal(0.0, std, (channels_out, channels_in, pixels)).astype(np.float32)
        if pixels > 1:
            # The original takes U where it is square too, hence not min(): C >= K takes U.
            u, _, v = np.linalg.svd(w, full_matrices=False)
            w = u if channels_in >= pixels else v
        else:
            # U of one column is that column at length 1: no decomposition is needed.
            w = w / np.linalg.norm(w, axis=1, keepdims=True)
        if channels_in * pixels > 1:
            w = w / w.std(axis=(1, 2), keepdims=True) * std
            w -= w.mean(axis=(1, 2), keepdims=True)
        else:
            # unlike the original: one number has no deviation to scale, it divides by 0 there
            w = w * std
        array[...] = xp.asarray(w.reshape(array.shape), dtype=array.dtype)
