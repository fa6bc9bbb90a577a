"""Convolution, batch normalization, ReLU and residual add one after the other, as one node.

A node costs some 0.2 ms of Python, with its variables and its gradient, and each pass over an
array its time in memory. So :func:`run` takes as many steps as it can into one
:class:`Sequence`, and joins what oneDNN computes in one pass.
"""

import collections

import chainer
import chainer.functions as F
import chainer.links as L
from chainer import function_node

from chainer_zoo.engines import listeners
from chainer_zoo.engines.cpu import convolution
from chainer_zoo.engines.cpu import joining
from chainer_zoo.engines.cpu import memory
from chainer_zoo.engines.cpu.stages import Add
from chainer_zoo.engines.cpu.stages import Concat
from chainer_zoo.engines.cpu.stages import Convolve
from chainer_zoo.engines.cpu.stages import Normalize
from chainer_zoo.sequence import has_hooks
from chainer_zoo.sequence.steps import Join
from chainer_zoo.sequence.steps import Skip


class Sequence(function_node.FunctionNode):
    """Stages one after the other. Inputs are x, then each stage's parameters.

    Args:
        stages (list): of :mod:`chainer_zoo.engines.cpu.stages`.
    """

    def __init__(self, stages):
        super().__init__()
        self.stages = stages

    def forward_cpu(self, inputs):
        listeners.note(self, True)
        self.retain_inputs(range(len(inputs)))
        y = inputs[0]
        before = None
        for stage, parameters in self._each(inputs):
            y = listeners.part('', stage, stage.forward, y, *parameters)
            if isinstance(before, Normalize) and isinstance(stage, Convolve):
                stage.forget_input(before)
            before = stage
        return (y,)

    def _each(self, inputs):
        """Yield each stage, and its parameters out of ``inputs``."""
        parameters = iter(inputs[1:])
        for stage in self.stages:
            yield stage, [next(parameters) for _ in stage.parameters] + [inputs[0]] * stage.first

    def again(self, *inputs):
        """Compute the same from Variables, with functions whose gradients are known."""
        y = inputs[0]
        for stage, parameters in self._each(inputs):
            y = stage.again(y, *parameters)
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
        # What Chainer does for a node serves only those.
        return tuple(
            [chainer.Variable._init_unchecked(g) for g in gradient.compute(grad_outputs[0].array)]
        )


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

    def forward_cpu(self, inputs):
        listeners.note(self, True)
        self.retain_inputs(range(len(inputs)))
        return self.compute(inputs[-1])

    def compute(self, g):
        """Return the gradients, a tuple of arrays.

        Args:
            g (numpy.ndarray): the gradient of the sequence's result.
        """
        grads = []
        stages = self.node.stages
        plus = []  # what later stages add to the gradient of the first one's input
        for stage in reversed(stages):
            arguments = [g, stage is not stages[0] or 0 in self.indexes]
            if stage is stages[0] and plus:
                arguments.append(plus.pop())
            g, more = listeners.part('gradient of ', stage, stage.backward, *arguments)
            if stage.first:
                plus.append(more.pop())
            grads[:0] = more
        if g is not None:
            for more in plus:
                joining.add_in_place(g, more)
        grads.insert(0, g)
        return tuple([grads[i] for i in self.indexes])

    def backward(self, indexes, grad_outputs):
        # The gradient of the gradient, from Chainer's functions. Beginning at copies of the inputs
        # keeps what depends on them by other ways out of it; ending at copies of the gradients
        # keeps those apart that are one, as the two of a sum.
        inputs = [F.identity(x) for x in self.get_retained_inputs()]
        with chainer.using_config('enable_backprop', True):
            y = self.node.again(*inputs[:-1])
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


def _plan(x, steps, shape=None):
    """Return the stages for as many ``steps`` as can be taken from Variable ``x`` on.

    Args:
        x (chainer.Variable or None): the input; None where it is not there yet.
        steps (sequence): what is to be done.
        shape (tuple of int): of the input, if that is not there yet.

    Returns:
        list, int: the stages, and how many steps they take.
    """
    stages = []
    shape = shape or x.shape
    for taken, step in enumerate(steps):
        last = stages[-1] if stages else None
        if step is F.relu:
            if last is None or last.relu:
                break
            last.relu = True
        elif isinstance(step, Skip):
            if last is None or not step.is_sum(shape) or not memory.is_plain(step.x.array):
                break
            if isinstance(last, Convolve) and not last.adds and not last.relu:
                last.add(step.x, step.x is x)
            else:
                stages.append(Add(shape, step.x, step.x is x))
        elif isinstance(step, Join):
            if last is None or step.x is not x or shape[2:] != step.x.shape[2:]:
                break
            stages.append(Concat(shape, x.shape))
            shape = stages[-1].shape
        elif not isinstance(step, chainer.Link) or has_hooks(step):
            break
        else:
            stage = None
            if isinstance(step, L.BatchNormalization):
                stage = Normalize.of(shape, step)
            elif isinstance(step, L.Convolution2D):
                stage = Convolve.of(shape, step)
            if stage is None:
                break
            stages.append(stage)
            shape = stage.shape
    else:
        taken = len(steps)
    return stages, taken


def _run_fixed(x, stages, y=None):
    """Run stages on array ``x`` with fixed statistics; no gradient will be asked for.

    Args:
        x (numpy.ndarray): float32 (B, C, H, W) or (B, C).
        stages (list): at least one.
        y (numpy.ndarray or None): where the result goes, float32 (B, O, y_h, y_w), some channels
            of a channels-last array.

    Returns:
        numpy.ndarray: the result, ``y`` if there is one.
    """
    first = x

    def parameters(stage):
        return [p.array for p in stage.parameters] + [first] * stage.first

    stages = collections.deque(stages)
    while stages:
        stage = stages.popleft()
        ahead = behind = None
        if (
            isinstance(stage, Normalize)
            and stage.relu
            and stages
            and isinstance(stages[0], Convolve)
            and stages[0].affine_fusion.should_fuse
        ):
            ahead, stage = stage, stages.popleft()
        if isinstance(stage, Normalize):
            x = stage.forward_fixed(x)
            continue
        if not isinstance(stage, Convolve):
            x = stage.forward(x, *parameters(stage))
            continue
        then = parameters(stage)[-1:] * stage.adds + [convolution.RELU] * stage.relu
        if not then and stages and isinstance(stages[0], Normalize):
            behind = stages.popleft()
            then = [convolution.RELU] * behind.relu
            if stages and isinstance(stages[0], Add):
                add = stages.popleft()
                then += parameters(add) + [convolution.RELU] * add.relu
        x = stage.forward_fixed(x, ahead, behind, then, None if stages else y)
    if y is not None and x is not y:
        memory.copy_into(y, x)
        return y
    return x


def _is_planned(x):
    """Return whether Variable ``x`` can be the input of stages."""
    return x.layout is None and x.ndim in (2, 4) and memory.is_plain(x.array)


def _has_no_gradient():
    """Return whether statistics are fixed, and no gradient will be asked for."""
    return not chainer.config.train and not chainer.config.enable_backprop


def run(x, steps):
    """Do what :func:`chainer_zoo.functions.in_sequence` says, with the engine on.

    Args:
        x (chainer.Variable): the input.
        steps (sequence): as there.

    Returns:
        chainer.Variable: the result of the last step.
    """
    config = chainer.config
    done = 0
    while done < len(steps):
        taken = 0
        if _is_planned(x) and (config.train or not config.enable_backprop):
            stages, taken = _plan(x, steps[done:])
        if not taken:
            x = steps[done](x)
            done += 1
        elif config.train:
            (x,) = Sequence(stages).apply([x] + [p for stage in stages for p in stage.parameters])
        else:
            x = chainer.Variable(_run_fixed(x.array, stages), requires_grad=x.requires_grad)
        done += taken
    return x


def run_in_parallel(branches):
    """Do what :func:`chainer_zoo.functions.in_parallel` says, with the engine on.

    Args:
        branches (sequence of tuple): Variable and steps, as there.

    Returns:
        chainer.Variable: the channels of all results, one after the other.
    """
    plans = []
    if _has_no_gradient():
        plans = [_plan(x, steps) for x, *steps in branches if _is_planned(x) and x.ndim == 4]
    shapes = [
        stages[-1].shape
        for (stages, taken), (_, *steps) in zip(plans, branches)
        if steps and taken == len(steps)
    ]
    if len(shapes) < len(branches) or len({(b, h, w) for b, _, h, w in shapes}) != 1:
        return F.concat([run(x, steps) for x, *steps in branches])
    (b, _, h, w), channels = shapes[0], 0
    y = memory.empty_channels_last((b, sum([shape[1] for shape in shapes]), h, w))
    for (x, *_), (stages, _), shape in zip(branches, plans, shapes):
        _run_fixed(x.array, stages, y[:, channels : channels + shape[1]])
        channels += shape[1]
    return chainer.Variable(y, requires_grad=any([x.requires_grad for x, *_ in branches]))


def grow(x, layers):
    """Do what :func:`chainer_zoo.functions.grow` says, with the engine on.

    Args:
        x (chainer.Variable): the input.
        layers (sequence of tuple): steps, as there.

    Returns:
        chainer.Variable: the channels of the input and of every layer's result.
    """
    plan = _plan_growth(x, layers) if _has_no_gradient() and _is_planned(x) else []
    if not plan:
        for steps in layers:
            x = run(x, tuple(steps) + (Join(x),))
        return x
    b, channels, h, w = x.shape
    y = memory.empty_channels_last(
        (b, channels + sum([convolve.shape[1] for _, convolve in plan]), h, w)
    )
    memory.copy_into(y[:, :channels], x.array)
    for ahead, convolve in plan:
        end = channels + convolve.shape[1]
        convolve.forward_fixed(y[:, :channels], ahead, y=y[:, channels:end])
        channels = end
    return chainer.Variable(y, requires_grad=x.requires_grad)


def _plan_growth(x, layers):
    """Return the two stages of each layer, if all are BN, ReLU and a convolution that fits them.

    Such layers read some channels of one array, and write others. Else, an empty list.
    """
    plan = []
    shape = x.shape
    for steps in layers:
        stages, taken = _plan(None, steps, shape)
        if taken < len(steps) or len(stages) != 2:
            return []
        ahead, convolve = stages
        if not (
            isinstance(ahead, Normalize)
            and ahead.relu
            and isinstance(convolve, Convolve)
            and convolve.affine_fusion.can_fuse
            and not convolve.relu
            and not convolve.adds
            and convolve.shape[2:] == shape[2:]
        ):
            return []
        plan.append(stages)
        shape = (shape[0], shape[1] + convolve.shape[1]) + shape[2:]
    return plan
