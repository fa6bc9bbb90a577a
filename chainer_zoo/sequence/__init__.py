"""Convolution, batch normalization, ReLU and residual add, one after the other."""

import chainer
import chainer.functions as F

from chainer_zoo import engines
from chainer_zoo.sequence.steps import Join
from chainer_zoo.sequence.steps import Skip


def in_sequence(x, *steps):
    """Return what the steps, one after the other, make of ``x``.

    The result is ``steps[-1](... steps[0](x))``. The CPU engine makes one node of as many steps as
    it can, with fewer passes over the arrays: BN and ReLU are one pass, a sum and ReLU too, a
    shortcut is added to a convolution's result before that is stored, and with fixed statistics
    BN goes into the weights of the convolution before it; what a shortcut adds to the gradient of
    ``x`` is added where that is computed. Links with hooks run on their own, so
    that their hooks do.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C, H, W) or (B, C).
        steps: links, ``chainer.functions.relu``, :class:`~chainer_zoo.sequence.Skip`,
            :class:`Join`, or any other function of one variable.

    Returns:
        :class:`~chainer.Variable`: what the last step returns.
    """
    x = chainer.as_variable(x)
    if engines.CPU.is_enabled():
        from chainer_zoo.engines.cpu import sequence

        return sequence.run(x, steps)
    for step in steps:
        x = step(x)
    return x


def has_hooks(link):
    """Return whether a hook waits for the call of a link (chainer.Link)."""
    return bool(link._n_local_link_hooks or chainer._get_link_hooks())


def in_parallel(*branches):
    """Return the channels of what several sequences make, one after the other.

    That is ``F.concat`` of :func:`in_sequence` of each branch. Where no gradient is wanted, the CPU
    engine has each branch write its channels where they belong, if its last step can.

    Args:
        *branches (tuple): the input of a sequence, float (B, C, H, W), and its steps.

    Returns:
        :class:`~chainer.Variable`: float (B, sum of all results' channels, H, W).
    """
    branches = [(chainer.as_variable(x), *steps) for x, *steps in branches]
    if engines.CPU.is_enabled():
        from chainer_zoo.engines.cpu import sequence

        return sequence.run_in_parallel(branches)
    return F.concat([in_sequence(*branch) for branch in branches])


def grow(x, *layers):
    """Return ``x`` and what each layer makes of all channels before it, in this order.

    Figure 1 of Huang et al. 2016, Densely Connected Convolutional Networks. Where no gradient is
    wanted, the CPU engine makes one array, to which each layer adds its channels.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C, H, W).
        *layers (tuple): steps of a sequence, which keep height and width.

    Returns:
        :class:`~chainer.Variable`: float (B, C + sum of all layers' channels, H, W).
    """
    x = chainer.as_variable(x)
    if engines.CPU.is_enabled():
        from chainer_zoo.engines.cpu import sequence

        return sequence.grow(x, layers)
    for steps in layers:
        x = in_sequence(x, *steps, Join(x))
    return x


def bn_relu(x, bn):
    """Return ReLU(BN(x)), which on the CPU engine is one pass forward and one backward.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C, H, W) or (B, C).
        bn (:class:`~chainer_zoo.links.BatchNormalization`): the link with statistics and scale.

    Returns:
        :class:`~chainer.Variable`: like ``x``, at least 0.
    """
    return in_sequence(x, bn, F.relu)
