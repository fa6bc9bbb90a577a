"""The function node that computes several steps, and that of its gradients."""

from __future__ import annotations

import chainer
import chainer.functions as F
from chainer import function_node
from chainer import Variable

from chainer_zoo.engines import listeners
from chainer_zoo.engines.stages import Stage


class Sequence(function_node.FunctionNode):
    """Stages one after the other, in training mode.

    Its inputs are the input of the first stage and whatever the stages take besides. A function
    node costs some 0.2 ms of Python, with its variables and its gradient, so one for many steps
    saves time.

    Args:
        stages (list of chainer_zoo.engines.stages.Stage): what is computed.
        places (list of list of int): for each stage, which inputs of the node it takes besides the
            result of the stage before it.
    """

    def __init__(self, stages: list[Stage], places: list[list[int]]) -> None:
        super().__init__()
        self.stages = stages
        self.places = places

    def forward(self, inputs):
        listeners.note(self, True)
        self.retain_inputs(range(len(inputs)))
        y = inputs[0]
        for stage, places in zip(self.stages, self.places):
            y = listeners.part('', stage, stage.forward, y, *[inputs[i] for i in places])
        return (y,)

    def by_functions(self, *inputs: Variable) -> Variable:
        """Compute the same by Chainer's functions, whose gradients can be differentiated."""
        y = inputs[0]
        for stage, places in zip(self.stages, self.places):
            y = stage.by_functions(y, *[inputs[i] for i in places])
        return y

    def backward(self, indexes, grad_outputs):
        gradient = SequenceGrad(self, indexes)
        if (
            chainer.config.enable_backprop
            or chainer.get_function_hooks()
            or chainer.is_debug()
            or listeners.listeners
        ):
            return gradient.apply(self.get_retained_inputs() + grad_outputs)
        # Nobody asks for a node, which costs time.
        return tuple([Variable._init_unchecked(g) for g in gradient.compute(grad_outputs[0].array)])


class SequenceGrad(function_node.FunctionNode):
    """The gradients of a :class:`Sequence`. Inputs are the sequence's and the gradient of its y.

    Args:
        node (Sequence): the forward pass.
        indexes (sequence of int): which of its inputs' gradients are wanted.
    """

    def __init__(self, node, indexes):
        super().__init__()
        self.node = node
        self.indexes = indexes

    def forward(self, inputs):
        listeners.note(self, True)
        self.retain_inputs(range(len(inputs)))
        return self.compute(inputs[-1])

    def compute(self, gy):
        """Return the gradients, a tuple of arrays.

        Args:
            gy (:ref:`ndarray`): the gradient of the sequence's result.
        """
        first = self.node.stages[0]
        gradients = [None] * len(self.node.inputs)
        for stage, places in zip(reversed(self.node.stages), reversed(self.node.places)):
            wants_gx = stage is not first or 0 in self.indexes
            more_gx = gradients[0] if stage is first else None
            gy, others = listeners.part(
                'gradient of ', stage, stage.backward, gy, wants_gx, more_gx
            )
            if stage is first:
                gradients[0] = gy
            for place, gradient in zip(places, others):
                # Several stages may take the input of the first one: as a shortcut, say.
                seen = gradients[place]
                gradients[place] = gradient if seen is None else seen + gradient
        return tuple([gradients[i] for i in self.indexes])

    def backward(self, indexes, grad_outputs):
        # The gradient of the gradient, from Chainer's functions. Beginning at copies of the inputs
        # keeps what depends on them by other ways out of it; ending at copies of the gradients
        # keeps those apart that are one, as the two of a sum.
        inputs = [F.identity(x) for x in self.get_retained_inputs()]
        with chainer.using_config('enable_backprop', True):
            y = self.node.by_functions(*inputs[:-1])
            grads = chainer.grad(
                [y], [inputs[i] for i in self.indexes], inputs[-1:], enable_double_backprop=True
            )
            grads = [F.identity(g) for g in grads]
        wanted = [i for i, gg in enumerate(grad_outputs) if gg is not None]
        return chainer.grad(
            [grads[i] for i in wanted],
            [inputs[i] for i in indexes],
            [grad_outputs[i] for i in wanted],
            enable_double_backprop=chainer.config.enable_backprop,
        )


def apply(x: Variable, stages: list[Stage]) -> Variable:
    """Compute stages of ``x`` in one function node, in training mode."""
    variables = [x]
    places: list[list[int]] = []
    for stage in stages:
        places.append([])
        for variable in stage.inputs:
            if variable is x:
                places[-1].append(0)
            else:
                places[-1].append(len(variables))
                variables.append(variable)
    (y,) = Sequence(stages, places).apply(variables)
    return y
