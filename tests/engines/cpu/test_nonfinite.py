"""NaN and infinity come through: where Chainer's own code gives one, the engine does, too."""

import chainer
import chainer.functions as F
import engine_checks as engine
import numpy as np
import pytest
from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st

from chainer_zoo import engines
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.cpu import stages
from chainer_zoo.functions import depthwise_convolution
from chainer_zoo.functions import residual_add
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import grow
from chainer_zoo.sequence import in_parallel
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import Join
from chainer_zoo.sequence import SequentialChain
from chainer_zoo.sequence import Skip

X = (2, 4, 6, 6)
VALUES = [np.nan, np.inf, -np.inf]

# name: function, shapes of its inputs
FUNCTIONS = {
    'ReLU': (F.relu, [X]),
    'ReLU of a matrix': (F.relu, [(3, 5)]),
    'PReLU': (F.prelu, [X, (4,)]),
    'max pooling': (lambda x: F.max_pooling_2d(x, 2), [X]),
    'max pooling, overlapping': (lambda x: F.max_pooling_2d(x, 3, 2, 1), [X]),
    'average pooling': (lambda x: F.average_pooling_2d(x, 3, 2, 1), [X]),
    'sum of two': (lambda a, b: a + b, [(4, 16, 16, 16)] * 2),
    'sum of three': (lambda *xs: F.add(*xs), [(4, 16, 16, 16)] * 3),
    'concat': (lambda *xs: F.concat(xs), [X, X]),
    'split': (lambda x: F.concat(F.split_axis(x, 2, 1)[::-1]), [X]),
    'residual add': (lambda h, x: residual_add(h, x, 2), [(2, 6, 3, 3), X]),
    'batch normalization': (lambda *v: F.batch_normalization(*v), [X, (4,), (4,)]),
    'fixed batch normalization': (
        lambda x, g, b, m, v: F.fixed_batch_normalization(x, g, b, m, v * v),
        [X] + 4 * [(4,)],
    ),
    'linear': (F.linear, [(3, 5), (4, 5), (4,)]),
    '3x3 convolution': (lambda x, w, b: F.convolution_2d(x, w, b, pad=1), [X, (3, 4, 3, 3), (3,)]),
    '1x1 convolution': (lambda x, w, b: F.convolution_2d(x, w, b), [X, (3, 4, 1, 1), (3,)]),
    '5x5 convolution': (lambda x, w: F.convolution_2d(x, w, pad=2), [X, (3, 4, 5, 5)]),
    'strided convolution': (lambda x, w: F.convolution_2d(x, w, None, 2, 1), [X, (3, 4, 3, 3)]),
    'deconvolution': (lambda x, w: F.deconvolution_2d(x, w, None, 2, 1), [X, (4, 3, 3, 3)]),
    'depthwise convolution': (lambda x, w: depthwise_convolution(x, w, 1, 1), [X, (4, 1, 3, 3)]),
}


# oneDNN adds nothing for padding, where Chainer multiplies zeros with the weights or with the
# gradient of the result. So what is not finite in these arrays, counted from 0, shows at some
# pixels or elements of the kernel, if not at all of them. (Our own code without an engine spreads
# what is not finite in the images of a depthwise convolution.)
MULTIPLIED_BY_PADDING = {
    '3x3 convolution': (1, 3),
    '5x5 convolution': (1, 2),
    'strided convolution': (1, 2),
    'deconvolution': (0, 1),
    'depthwise convolution': (0, 1, 2),
}


def computed(function, inputs, gy, on):
    """Return the result and the gradients of the inputs."""
    with engines.CPU.using(on), np.errstate(all='ignore'):
        variables = [chainer.Variable(x) for x in inputs]
        y = function(*variables)
        y.grad = gy
        y.backward()
    return [y.array] + [v.grad for v in variables]


def spoil(data, arrays, only_nan=()):
    """Write NaN or infinity somewhere into one of the arrays; return the number of that.

    Args:
        data: hypothesis's.
        arrays (list of numpy.ndarray): overwritten.
        only_nan (collection of int): numbers of those that get no infinity.
    """
    which = data.draw(st.integers(0, len(arrays) - 1), 'array')
    values = VALUES[:1] if which in only_nan else VALUES
    for _ in range(data.draw(st.integers(1, 3), 'how many')):
        at = data.draw(st.integers(0, arrays[which].size - 1), 'place')
        arrays[which].flat[at] = data.draw(st.sampled_from(values), 'value')
    return which


def assert_comes_through(theirs, ours, somewhere=False):
    """Check that no array of ours is finite where Chainer's is not.

    Args:
        theirs, ours (list of numpy.ndarray or None): results and gradients.
        somewhere (bool): whether one pixel of each channel will do.
    """
    for i, (a, b) in enumerate(zip(theirs, ours)):
        assert (a is None) == (b is None)
        if a is None:
            continue
        a, b = ~np.isfinite(a), ~np.isfinite(b)
        if somewhere and a.ndim == 4:
            a, b = a.any(axis=(2, 3)), b.any(axis=(2, 3))
        hidden = a & ~b
        assert not hidden.any(), f'array {i}, at {np.argwhere(hidden)[0]}'


@pytest.mark.parametrize('name', FUNCTIONS)
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_functions_hide_nothing(name, data):
    function, shapes = FUNCTIONS[name]
    inputs = [engine.values(i, *shape) for i, shape in enumerate(shapes)]
    gy = engine.values(9, *function(*inputs).shape)
    which = spoil(data, [*inputs, gy])
    theirs, ours = [computed(function, inputs, gy, on) for on in (False, True)]
    assert_comes_through(theirs, ours, which in MULTIPLIED_BY_PADDING.get(name, ()))
    if name not in MULTIPLIED_BY_PADDING:
        for a, b in zip(theirs, ours):
            np.testing.assert_array_equal(b[~np.isfinite(b)], a[~np.isfinite(b)], name)


class Layer(SequentialChain):
    """Batch normalization, ReLU and a convolution."""

    def __init__(self, ksize):
        super().__init__()
        with self.init_scope():
            self.bn = BatchNormalization(4)
            self.conv = Convolution2D(4, 4, ksize, pad=ksize // 2)

    @property
    def sequence(self):
        return self.bn, F.relu, self.conv


class Layers(chainer.Chain):
    """Two convolutions, each with a normalization for its input or its result."""

    def __init__(self, ksize):
        super().__init__()
        with self.init_scope():
            self.layer1 = Layer(ksize)
            self.layer2 = Layer(ksize)
        for i, array in enumerate(self.arrays()):
            array[...] = abs(engine.values(i, *array.shape))

    def arrays(self):
        """Return every parameter and running statistic."""
        bns = self.layer1.bn, self.layer2.bn
        return [p.array for _, p in sorted(self.namedparams())] + [
            getattr(bn, name) for bn in bns for name in ('avg_mean', 'avg_var')
        ]

    def blocks(self, x):
        """Return what is made of ``x``, by name."""
        bn1, _, conv1 = self.layer1.sequence
        bn2, _, conv2 = self.layer2.sequence
        skip = Skip(x)
        return {
            'activated': lambda: in_sequence(x, conv1, bn1, F.relu, conv2, bn2, skip, F.relu),
            'pre-activated': lambda: in_sequence(x, bn1, F.relu, conv1, bn2, F.relu, conv2, skip),
            'without normalization': lambda: in_sequence(x, conv1, F.relu, conv2, skip, F.relu),
            'joined': lambda: in_sequence(x, bn1, F.relu, conv1, Join(x)),
            'grown': lambda: grow(x, self.layer1),
            'parallel': lambda: in_parallel((x, conv1, bn1, F.relu), (x, bn2, F.relu, conv2)),
        }


BLOCKS = sorted(Layers(1).blocks(np.zeros(X, np.float32)))


def computed_block(name, ksize, arrays, train, backprop, on):
    """Return a block's result, running statistics and, with ``backprop``, all gradients."""
    layers = Layers(ksize)
    gy, x, *others = arrays
    for array, value in zip(layers.arrays(), others):
        array[...] = value
    x = chainer.Variable(x)
    with (
        engines.CPU.using(on),
        chainer.using_config('train', train),
        chainer.using_config('enable_backprop', backprop),
        np.errstate(all='ignore'),
    ):
        y = layers.blocks(x)[name]()
        results = [y.array]
        if backprop:
            y.grad = np.ascontiguousarray(gy[:, : y.shape[1]])
            y.backward()
            results += [x.grad] + [p.grad for _, p in sorted(layers.namedparams())]
    return results + layers.arrays()[-4:]


@pytest.fixture(params=['winograd', 'pointwise', 'direct'])
def ksize(request, monkeypatch):
    """Have one algorithm compute all convolutions; return their kernel's size."""
    from chainer_zoo.engines.cpu.convolution import winograd

    monkeypatch.setattr(winograd, '_LEAST_TILES', 1 if request.param == 'winograd' else 1 << 60)
    monkeypatch.setattr(winograd, '_least_channels', lambda: (0, 0))
    monkeypatch.setattr(primitive.context(), 'primitives', {})
    stages._examine.cache_clear()
    yield 1 if request.param == 'pointwise' else 3
    stages._examine.cache_clear()


@pytest.mark.parametrize(
    'train, backprop',
    [(True, True), (False, False), (False, True)],
    ids=['training', 'evaluation', 'gradient in test mode'],
)
@pytest.mark.parametrize('name', BLOCKS)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_sequences_hide_nothing(name, train, backprop, ksize, data):
    x, gy = engine.values(0, *X), engine.values(1, X[0], 8, *X[2:])
    arrays = [gy, x] + [a.copy() for a in Layers(ksize).arrays()]
    # Where a weight of -inf meets no padding, ReLU makes 0 of it, in Chainer as well.
    weights = [i for i, array in enumerate(arrays) if i > 1 and array.ndim == 4]
    spoil(data, arrays, weights)
    theirs, ours = [
        computed_block(name, ksize, arrays, train, backprop, on) for on in (False, True)
    ]
    assert_comes_through(theirs, ours, somewhere=True)
