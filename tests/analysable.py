"""Weights with which a block's output is known by hand."""

import chainer
import numpy as np

from chainer_zoo.links import BatchNormalization


def make_quiet(model):
    """Make every batch normalization do nothing at test; return the model."""
    for link in model.links():
        if isinstance(link, BatchNormalization):
            link.avg_var[...] = 1 - link.eps
    return model


def make_identity(model):
    """Make convolutions pass channel i on as channel i, and batch normalization do nothing.

    Channels that a convolution adds are zero. Returns the model.
    """
    for param in make_quiet(model).params():
        if param.name == 'W' and param.ndim == 4:
            out_channels, in_channels, height, width = param.shape
            param.array[...] = 0
            param.array[:, :, height // 2, width // 2] = np.eye(out_channels, in_channels)
    return model


def at_test(link, *args):
    """Return the array that ``link`` gives in test mode."""
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        return link(*args).array
