"""Stochastic depth."""
from chainer_zoo.functions import noise
from chainer_zoo.functions.shortcut import residual_add

import chainer


def survives(p):
    """Draw once for a whole batch: False where noise is on and p <= u, u uniform in [0, 1)."""
    return not noise.is_on() or p > noise.generator.uniform()


def expected(p):
    """Return the factor of a branch that survives with probability ``p``: p at test, else 1."""
    return 1.0 if chainer.config.train else p


def drop_path(h, x, p, stride=1, per_picture=False):
    raise NotImplementedError


def separated_drop_path(h, x, p, split, stride=1, per_picture=False):
    raise NotImplementedError
