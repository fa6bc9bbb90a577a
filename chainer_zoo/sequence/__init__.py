"""Layers that follow each other, layers side by side, and layers that see all before them.

A model names the steps; what computes several of them at once is decided here. On every device the
result is that of the steps one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from typing import Callable

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo import engines
from chainer_zoo.sequence.steps import Join
from chainer_zoo.sequence.steps import Skip

__all__ = ['Join', 'SequentialChain', 'Skip', 'bn_relu', 'grow', 'in_parallel', 'in_sequence']

#: A step of a sequence: a link or any other function of one variable.
Step = Callable[[Variable], Variable]


class SequentialChain(chainer.Chain):
    """A chain whose layers follow each other, in the order of :attr:`sequence`.

    :func:`in_sequence` takes it apart, so its layers can be computed together with their
    neighbours.
    """

    @property
    def sequence(self) -> tuple[Step, ...]:
        """The steps from input to output, as ``(self.conv, self.bn, F.relu)``."""
        raise NotImplementedError

    def forward(self, x: Variable) -> Variable:
        """Return what the steps give, one after the other."""
        return in_sequence(x, *self.sequence)


def in_sequence(x: Variable, *steps: Step) -> Variable:
    """Compute the steps one after the other.

    The result is ``steps[-1](... steps[0](x))``. A :class:`SequentialChain` among them counts as
    the steps that it is made of. The CPU engine makes one function node of as many steps as it can,
    with fewer passes over the arrays: BN and ReLU are one pass, a sum and ReLU too, and a shortcut
    is added to a convolution's result before that is stored. With fixed statistics BN goes into the
    weights of the convolution before it. What a shortcut adds to the gradient of ``x`` is added
    where that is computed. A link with hooks is called as it is, so that its hooks run.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C, H, W) or (B, C).
        *steps: links, :func:`chainer.functions.relu`, :class:`Skip`, :class:`Join`, or any other
            function of one variable.

    Returns:
        :class:`~chainer.Variable`: what the last step returns.
    """
    return _compute(chainer.as_variable(x), list(_flat(steps)))


def _compute(x: Variable, steps: list[Step]) -> Variable:
    if engines.CPU.is_enabled():
        from chainer_zoo.engines.cpu import sequence

        return sequence.run(x, steps)
    for step in steps:
        x = step(x)
    return x


def _flat(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield the steps, with those of a :class:`SequentialChain` in its place."""
    for step in steps:
        if _is_plain(step, SequentialChain):
            yield from _flat(step.sequence)
        else:
            yield step


def _is_plain(step: Step, kind: type[chainer.Link]) -> bool:
    """Return whether calling a step is running the ``forward`` of a class of links, and no more.

    It is more where a hook waits for the call, or where a subclass has a ``forward`` of its own.
    """
    return (
        isinstance(step, kind)
        and type(step).__call__ is chainer.Link.__call__
        and getattr(step.forward, '__func__', None) is kind.forward
        and not has_hooks(step)
    )


def has_hooks(link):
    """Return whether a hook waits for the call of a link (chainer.Link)."""
    return bool(link._n_local_link_hooks or chainer._get_link_hooks())


def in_parallel(*branches: tuple) -> Variable:
    """Compute several sequences and concatenate the channels of their results.

    That is ``F.concat`` of :func:`in_sequence` of each branch. Where no gradient is wanted, the CPU
    engine lets each branch write its channels where they belong, if its last step can.

    Args:
        *branches (tuple): the input of a sequence, float (B, C, H, W), and its steps.

    Returns:
        :class:`~chainer.Variable`: float (B, sum of all results' channels, H, W).
    """
    flat = [(chainer.as_variable(x), *_flat(steps)) for x, *steps in branches]
    if engines.CPU.is_enabled():
        from chainer_zoo.engines.cpu import sequence

        return sequence.run_in_parallel(flat)
    return F.concat([_compute(x, steps) for x, *steps in flat])


def grow(x: Variable, *layers: Step) -> Variable:
    """Let each layer see ``x`` and the results of all layers before it.

    Figure 1 of Huang et al. 2016, Densely Connected Convolutional Networks. Where no gradient is
    wanted, the CPU engine makes one array, to which each layer adds its channels.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C, H, W).
        *layers: steps, each of which keeps height and width.

    Returns:
        :class:`~chainer.Variable`: float (B, C + sum of all layers' channels, H, W): ``x`` and the
        results of the layers, in this order.
    """
    x = chainer.as_variable(x)
    if engines.CPU.is_enabled():
        from chainer_zoo.engines.cpu import sequence

        return sequence.grow(x, [tuple(_flat([layer])) for layer in layers])
    for layer in layers:
        x = in_sequence(x, layer, Join(x))
    return x


def bn_relu(x: Variable, bn: chainer.Link) -> Variable:
    """Return ReLU(BN(x)), which on the CPU engine is one pass forward and one backward.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C, H, W) or (B, C).
        bn (:class:`~chainer_zoo.links.BatchNormalization`): the link with statistics and scale.

    Returns:
        :class:`~chainer.Variable`: like ``x``, at least 0.
    """
    return in_sequence(x, bn, F.relu)
