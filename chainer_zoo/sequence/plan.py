"""Which steps are computed together: a plan, the stages of one function node.

The engine of the input's array offers stages for steps. A step for which it has none is called by
itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable
from typing import NamedTuple
from typing import TYPE_CHECKING
from typing import TypeVar

import chainer
import chainer.functions as F
import chainer.links as L
from chainer import Variable

from chainer_zoo import engines
from chainer_zoo.engines.stages import Convolution
from chainer_zoo.engines.stages import NO_STAGES
from chainer_zoo.engines.stages import Stage
from chainer_zoo.engines.stages import Stages
from chainer_zoo.sequence.steps import Join
from chainer_zoo.sequence.steps import Skip

if TYPE_CHECKING:
    from typing_extensions import TypeGuard

#: A step of a sequence: a link or any other function of one variable.
Step = Callable[[Variable], Variable]

_Link = TypeVar('_Link', bound=chainer.Link)


def has_forward_of(step: Step, kind: type[_Link]) -> TypeGuard[_Link]:
    """Return whether calling a step is running the ``forward`` of a class of links, and no more.

    It is more where a hook waits for the call, or where a subclass has a ``forward`` of its own.
    """
    return (
        isinstance(step, kind)
        and type(step).__call__ is chainer.Link.__call__
        and getattr(step.forward, '__func__', None) is kind.forward
        and not step._n_local_link_hooks
        and not chainer._get_link_hooks()
    )


class Plan(NamedTuple):
    """What an engine computes of a sequence.

    Attributes:
        offered: the stages that the engine offers.
        x_shape: of the input, (B, C, H, W) or (B, C).
        stages: those that compute the first steps of the sequence.
        taken: how many steps that are.
    """

    offered: Stages
    x_shape: tuple[int, ...]
    stages: list[Stage]
    taken: int

    @property
    def y_shape(self) -> tuple[int, ...]:
        """The shape of the last stage's result."""
        return self.stages[-1].shape if self.stages else self.x_shape


def offered_for(x: Variable) -> Stages:
    """Return the stages that the engine of ``x`` offers in this mode."""
    # No stage has a gradient where statistics are fixed.
    if x.layout is None and (chainer.config.train or not chainer.config.enable_backprop):
        engine = engines.of(x.array)
        if engine is not None and engine.stages.can_take(x.array):
            return engine.stages
    return NO_STAGES


def plan(offered: Stages, x_shape: tuple[int, ...], steps: Sequence[Step]) -> Plan:
    """Plan as many steps as an engine can compute together.

    Args:
        offered (chainer_zoo.engines.stages.Stages): what the engine offers.
        x_shape (tuple of int): of the input, (B, C, H, W) or (B, C).
        steps: what is to be computed.
    """
    stages: list[Stage] = []
    taken = 0
    for step in steps:
        if not _take(offered, stages, stages[-1].shape if stages else x_shape, step):
            break
        taken += 1
    return Plan(offered, x_shape, stages, taken)


def _take(offered: Stages, stages: list[Stage], shape: tuple[int, ...], step: Step) -> bool:
    """Let the stages compute one more step, of an input of ``shape``; return whether they can."""
    last = stages[-1] if stages else None
    stage: Stage | None = None
    if has_forward_of(step, L.Convolution2D):
        stage = offered.convolve(shape, step, last)
    elif has_forward_of(step, L.BatchNormalization):
        stage = offered.normalize(shape, step)
    elif last is None:
        return False
    elif step is F.relu:
        if last.can_end_in_relu:
            last.relu = True
            return True
    elif isinstance(step, Skip):
        if step.is_plain_sum(shape) and offered.can_take(step.x.array):
            if isinstance(last, Convolution) and last.can_add:
                last.add(step.x)
                return True
            stage = offered.add(shape, step.x)
    elif isinstance(step, Join):
        if step.fits(shape) and offered.can_take(step.x.array):
            stage = offered.concat(shape, step.x)
    if stage is None:
        return False
    stages.append(stage)
    return True
