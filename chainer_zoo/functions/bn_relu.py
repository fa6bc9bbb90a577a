"""Batch normalization with ReLU behind it."""
import chainer.functions as F


def bn_relu(x, bn):
    """Return ReLU(BN(x)).

    Args:
        x (:class:`~chainer.Variable`): float (B, C, H, W).
        bn (:class:`~chainer_zoo.links.BatchNormalization`): the link with statistics and scale.

    Returns:
        :class:`~chainer.Variable`: float (B, C, H, W), at least 0.
    """
    return F.relu(bn(x))
