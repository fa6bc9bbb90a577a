"""A network's building block as a graph: which functions it calls, on what, and in what order."""

from __future__ import annotations

import dataclasses
import re

import chainer
import numpy as np

from chainer_zoo import catalog
from chainer_zoo import initializers
from chainer_zoo.data.images import SIZE_CLASSES
from chainer_zoo.functions.noise import no_noise
from chainer_zoo.report import tracing

#: The class that a model repeats, with options that make the drawing small. What is not named here
#: is drawn as a whole.
BLOCKS = {
    'nin': ('MLPConv', {}),
    'nin_bn': ('MLPBNReLUConv', {}),
    'googlenet': ('Inception', {}),
    'googlenet_v2': ('Inception', {}),
    'googlenet_v3': ('InceptionB', {}),
    'highway': ('HighwayLayer', {}),
    'resnet': ('BasicBlock', {'depth': 8}),
    'inception_v4': ('InceptionA', {}),
    'squeezenet': ('Fire', {}),
    'preresnet': ('PreResNetStage', {'depth': 11}),
    'rir': ('GeneralizedLayer', {}),
    'stochastic_depth': ('StochasticBlock', {'depth': 8}),
    'swapout': ('SwapoutStage', {'depth': 8}),
    'wide_resnet': ('BasicStage', {'depth': 10}),
    'fractalnet': ('FractalBlock', {}),
    'weighted_resnet': ('WeightedBlock', {'depth': 10}),
    'ror': ('RoRBlock', {'depth': 14}),
    'densenet': ('DenseBlock', {'depth': 13}),
    'xception': ('Module', {'size': 32}),
    'pyramidnet': ('PyramidBlock', {'depth': 8}),
    'resnext': ('ResNeXtBlock', {}),
    'pyramidnet_sepdrop': ('SeparatedBlock', {'depth': 8}),
}

#: What is drawn where no block is named.
WHOLE = 'whole network'

#: Functions that only rearrange numbers: their input is drawn in their place.
_SILENT = {'Reshape', 'Cast', 'Squeeze', 'Transpose', 'Identity', 'BroadcastTo', 'Pad'}


@dataclasses.dataclass
class Node:
    """A function call.

    Attributes:
        label: what the drawing says, as ``conv 3 x 3, 64``.
        kind: ``conv``, ``norm``, ``activation``, ``pool``, ``join``, ``end`` or ``other``.
        inputs: the nodes whose results it takes, in order.
    """

    label: str
    kind: str
    inputs: list[Node] = dataclasses.field(default_factory=list, repr=False)


class _FirstCall(chainer.LinkHook):
    """Keeps what the first link of a class takes and gives."""

    name = 'FirstCall'

    def __init__(self, class_name):
        self.class_name = class_name
        self.found = None
        self._open = None

    def forward_preprocess(self, args):
        if self.found is None and self._open is None:
            if any(kind.__name__ == self.class_name for kind in type(args.link).__mro__):
                self._open = args.link

    def forward_postprocess(self, args):
        if args.link is self._open:
            self.found = _variables(args.args), _variables(args.out)
            self._open = None


def trace(name: str) -> tuple[str, list[Node]]:
    """Return the block of a model.

    Args:
        name: a model of the catalog.

    Returns:
        What is drawn (a class name, or :data:`WHOLE`), and its nodes: the first is the input,
        the last the output, each stands after those whose results it takes.
    """
    class_name, options = BLOCKS.get(name, (None, {}))
    entry = catalog.entry(name)
    options = entry.complete(options)
    with initializers.unfilled():
        model = entry.build(**options)
    size = SIZE_CLASSES[entry.image_class(options)].crop
    x = chainer.Variable(np.broadcast_to(np.float32(0), (1, 3, size, size)))
    hook = _FirstCall(class_name)
    with tracing.ShapesOnly(), no_noise(), chainer.using_config('train', True), hook:
        y = model(x)
    if class_name is None:
        return WHOLE, _nodes([x], [y])
    if hook.found is None:
        raise ValueError(f'{name} calls no link of the class {class_name}')
    return class_name, _nodes(*hook.found)


def _variables(value):
    """Return the variables in what a link takes or gives: one, or several in tuples."""
    if isinstance(value, (tuple, list)):
        return [variable for part in value for variable in _variables(part)]
    return [value] if isinstance(value, chainer.Variable) else []


def _nodes(inputs, outputs):
    nodes = [Node(_size(x), 'end') for x in inputs]
    known = {id(x.node): node for x, node in zip(inputs, nodes)}

    def add(variable):
        """Return the node that made a variable."""
        if id(variable) in known:
            return known[id(variable)]
        function = variable.creator_node
        if function is None:
            return None  # a parameter or a constant
        inputs = [node for node in map(add, function.inputs) if node is not None]
        label, kind = describe(function)
        if kind == 'silent' and len(inputs) == 1:
            node = inputs[0]
        else:
            node = Node(label, kind, inputs)
            nodes.append(node)
        for output in function.outputs:
            if output() is not None:
                known[id(output())] = node
        return node

    for y in outputs:
        last = add(y.node)
        nodes.append(Node(_size(y), 'end', [last]))
    return nodes


def _size(variable):
    """Return the shape of one image's part: channels, height and width."""
    return ' x '.join(str(n) for n in variable.shape[1:])


def describe(function) -> tuple[str, str]:
    """Return label and kind of a function node."""
    name = type(function).__name__
    if name in _SILENT or (name == 'Concat' and len(function.inputs) == 1):
        return '', 'silent'
    if name == 'Convolution2DFunction':
        return 'conv ' + _window(function, function.inputs[1].shape), 'conv'
    if name == 'DepthwiseConvolution':
        return 'depthwise ' + '{} x {}'.format(*function.inputs[1].shape[2:]), 'conv'
    if name == 'LinearFunction':
        return f'linear, {function.inputs[1].shape[0]:,}', 'conv'
    if name in ('BatchNormalization', 'FixedBatchNormalization'):
        return 'BN', 'norm'
    if 'Pooling' in name:
        way = 'max' if name.startswith('Max') else 'average'
        return f'{way} pooling {_pooling_window(function)}', 'pool'
    if name == 'Shortcut':
        steps = ['every 2nd pixel'] if function.stride == 2 else []
        steps += ['zero channels'] if function.channels > function.inputs[0].shape[1] else []
        return ', '.join(steps), 'pool'
    if name == 'Mean':
        return 'mean of the pixels', 'pool'
    if name == 'Mul' and any(np.prod(x.shape) == 1 for x in function.inputs):
        return '\N{MULTIPLICATION SIGN} a weight', 'other'
    if name == 'MulConstant':
        return function.label.replace('_ *', '\N{MULTIPLICATION SIGN}'), 'other'
    signs = {
        'Add': '+',
        'ResidualAdd': '+',
        'Mul': '\N{MULTIPLICATION SIGN}',
        'SubFromConstant': '1 \N{MINUS SIGN} x',
        'Concat': 'concatenate',
    }
    if name in signs:
        return signs[name], 'join'
    activations = {'ReLU': 'ReLU', 'PReLUFunction': 'PReLU', 'Sigmoid': 'sigmoid'}
    if name in activations:
        return activations[name], 'activation'
    return re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', name).lower(), 'other'


def _window(function, shape):
    text = f'{shape[2]} x {shape[3]}, {shape[0]:,}'
    return text + (f', stride {function.sy}' if function.sy > 1 else '')


def _pooling_window(function):
    if hasattr(function, 'ksize'):
        kernel, stride = function.ksize, function.stride[0]
    else:
        kernel, stride = (function.kh, function.kw), function.sy
    text = '{} x {}'.format(*kernel)
    return text + (f', stride {stride}' if stride > 1 else '')
