"""Dropout."""
import chainer.functions as F

from chainer_zoo.functions import noise


def dropout(x, ratio):
    """Dropout that obeys :func:`chainer_zoo.no_noise`."""
    return F.dropout(x, ratio) if noise.is_on() and ratio > 0 else x
