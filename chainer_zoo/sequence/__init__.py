"""Layers that follow each other, layers side by side, and layers that see all before them.

A model names the steps; what computes several of them at once is decided here. On every device the
result is that of the steps one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator

import chainer
import chainer.functions as F
from chainer import Variable

from chainer_zoo.sequence import evaluation
from chainer_zoo.sequence import node
from chainer_zoo.sequence import plan
from chainer_zoo.sequence.plan import Step
from chainer_zoo.sequence.steps import Join
from chainer_zoo.sequence.steps import Skip

__all__ = [
    'Join',
    'SequentialChain',
    'Skip',
    'Step',
    'bn_relu',
    'grow',
    'in_parallel',
    'in_sequence',
]


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


def _flat(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield the steps, with those of a :class:`SequentialChain` in its place."""
    for step in steps:
        if plan.has_forward_of(step, SequentialChain):
            yield from _flat(step.sequence)
        else:
            yield step


def _compute(x: Variable, steps: list[Step]) -> Variable:
    """Compute steps of which none is a sequence itself."""
    done = 0
    while done < len(steps):
        planned = plan.plan(plan.offered_for(x), x.shape, steps[done:])
        if not planned.stages:
            x = steps[done](x)
            done += 1
        elif chainer.config.train:
            x = node.apply(x, planned.stages)
        else:
            y = evaluation.evaluate(planned, x.array)
            x = Variable(y, requires_grad=x.requires_grad)
        done += planned.taken
    return x


def in_parallel(*branches: tuple) -> Variable:
    """Compute several sequences and concatenate the channels of their results.

    That is ``F.concat`` of :func:`in_sequence` of each branch. In an evaluation the CPU engine lets
    each branch write its channels where they belong, if its last step can.

    Args:
        *branches (tuple): the input of a sequence, float (B, C, H, W), and its steps.

    Returns:
        :class:`~chainer.Variable`: float (B, sum of all results' channels, H, W).
    """
    flat = [(chainer.as_variable(x), list(_flat(steps))) for x, *steps in branches]
    y = evaluation.in_parallel(flat) if evaluation.is_on() else None
    if y is None:
        y = F.concat([_compute(x, steps) for x, steps in flat])
    return y


def grow(x: Variable, *layers: Step) -> Variable:
    """Let each layer see ``x`` and the results of all layers before it.

    Figure 1 of Huang et al. 2016, Densely Connected Convolutional Networks. In an evaluation the
    CPU engine makes one array, to which each layer adds its channels.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C, H, W).
        *layers: steps, each of which keeps height and width.

    Returns:
        :class:`~chainer.Variable`: float (B, C + sum of all layers' channels, H, W): ``x`` and the
        results of the layers, in this order.
    """
    x = chainer.as_variable(x)
    flat = [list(_flat([layer])) for layer in layers]
    y = evaluation.grow(x, flat) if evaluation.is_on() else None
    if y is None:
        y = x
        for steps in flat:
            y = _compute(y, [*steps, Join(y)])
    return y


def bn_relu(x: Variable, bn: chainer.Link) -> Variable:
    """Return ReLU(BN(x)), which on the CPU engine is one pass forward and one backward.

    Args:
        x (:class:`~chainer.Variable` or :ref:`ndarray`): float (B, C, H, W) or (B, C).
        bn (:class:`~chainer_zoo.links.BatchNormalization`): the link with statistics and scale.

    Returns:
        :class:`~chainer.Variable`: like ``x``, at least 0.
    """
    return in_sequence(x, bn, F.relu)
