"""Sequences in test mode, where no gradient is wanted: stages share passes over the arrays."""

from __future__ import annotations

from typing import NamedTuple

import chainer
from chainer import Variable

from chainer_zoo.engines.stages import Convolution
from chainer_zoo.engines.stages import NO_STAGES
from chainer_zoo.engines.stages import Normalization
from chainer_zoo.engines.stages import Stage
from chainer_zoo.engines.stages import Sum
from chainer_zoo.sequence.plan import offered_for
from chainer_zoo.sequence.plan import Plan
from chainer_zoo.sequence.plan import plan
from chainer_zoo.sequence.plan import Step


def is_on() -> bool:
    """Return whether statistics are fixed and no gradient is wanted."""
    return not chainer.config.train and not chainer.config.enable_backprop


class _Pass(NamedTuple):
    """Stages that are computed in one pass.

    Attributes:
        stage: the only one, or a convolution.
        before: BN and ReLU, computed where the convolution reads its input.
        after: BN, which goes into the weights of the convolution.
        add: the sum with a shortcut, after that.
    """

    stage: Stage
    before: Normalization | None = None
    after: Normalization | None = None
    add: Sum | None = None

    def evaluate(self, x, out):
        if isinstance(self.stage, Convolution):
            return self.stage.evaluate(x, self.before, self.after, self.add, out)
        return self.stage.evaluate(x)


def _passes(stages: list[Stage]) -> list[_Pass]:
    """Return the passes that compute some stages, in order."""
    passes = []
    rest = list(reversed(stages))

    def upcoming() -> Stage | None:
        return rest[-1] if rest else None

    while rest:
        stage = rest.pop()
        before = after = add = None
        following = upcoming()
        if isinstance(stage, Normalization) and stage.relu:
            if isinstance(following, Convolution) and following.should_normalize_input:
                before, stage = stage, rest.pop()
                following = upcoming()
        if isinstance(stage, Convolution) and stage.can_add:
            if isinstance(following, Normalization):
                after = following
                rest.pop()
                following = upcoming()
                if isinstance(following, Sum):
                    add = following
                    rest.pop()
        passes.append(_Pass(stage, before, after, add))
    return passes


def evaluate(planned: Plan, x, out=None):
    """Compute a plan.

    Args:
        planned (Plan): its stages; there may be none.
        x (:ref:`ndarray`): float (B, C, H, W) or (B, C).
        out (:ref:`ndarray` or None): where the result goes, some channels of an array of
            :meth:`chainer_zoo.engines.stages.Stages.empty`.

    Returns:
        :ref:`ndarray`: the result, ``out`` if there is one.
    """
    passes = _passes(planned.stages)
    for each in passes:
        x = each.evaluate(x, out if each is passes[-1] else None)
    if out is not None and x is not out:
        planned.offered.copy_into(out, x)
        return out
    return x


def in_parallel(branches: list[tuple[Variable, list[Step]]]) -> Variable | None:
    """Let branches write their channels where they belong in their concatenation.

    Args:
        branches (list of tuple): the input and the steps of each.

    Returns:
        :class:`~chainer.Variable`: float (B, C, H, W), or None if they cannot: where a step is
        computed apart.
    """
    plans = [plan(offered_for(x), x.shape, steps) for x, steps in branches]
    offered = plans[0].offered
    shape = plans[0].y_shape
    for planned, (_, steps) in zip(plans, branches):
        if (
            planned.offered is not offered
            or offered is NO_STAGES
            or planned.taken < len(steps)
            or len(planned.y_shape) != 4
            or planned.y_shape[:1] + planned.y_shape[2:] != shape[:1] + shape[2:]
        ):
            return None
    channels = sum([planned.y_shape[1] for planned in plans])
    y = offered.empty((shape[0], channels, *shape[2:]))
    start = 0
    for planned, (x, _) in zip(plans, branches):
        end = start + planned.y_shape[1]
        evaluate(planned, x.array, y[:, start:end])
        start = end
    return Variable(y, requires_grad=any([x.requires_grad for x, _ in branches]))


def grow(x: Variable, layers: list[list[Step]]) -> Variable | None:
    """Let layers add their channels to one array.

    Args:
        x (:class:`~chainer.Variable`): float (B, C, H, W), its first channels.
        layers (list of list): the steps of each layer.

    Returns:
        :class:`~chainer.Variable`: float (B, C', H, W), or None if they cannot: where a layer is
        not BN, ReLU and a convolution that normalizes its input and keeps its size.
    """
    offered = offered_for(x)
    shape = x.shape
    dense = []
    for steps in layers:
        planned = plan(offered, shape, steps)
        if planned.taken < len(steps) or len(planned.stages) != 2:
            return None
        bn_relu, convolution = planned.stages
        if not (
            isinstance(bn_relu, Normalization)
            and bn_relu.relu
            and isinstance(convolution, Convolution)
            and convolution.can_normalize_input
            and not convolution.relu
            and not convolution.adds
            and convolution.shape[2:] == shape[2:]
        ):
            return None
        dense.append((bn_relu, convolution))
        shape = (shape[0], shape[1] + convolution.shape[1], *shape[2:])
    if not dense:
        return None
    y = offered.empty(shape)
    end = x.shape[1]
    offered.copy_into(y[:, :end], x.array)
    for bn_relu, convolution in dense:
        start, end = end, end + convolution.shape[1]
        convolution.evaluate(y[:, :start], before=bn_relu, out=y[:, start:end])
    return Variable(y, requires_grad=x.requires_grad)
