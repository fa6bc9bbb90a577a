"""Layers taken together give what they give one after the other."""

import functools

import chainer
import chainer.functions as F
import numpy as np
import pytest
from sequence_checks import assert_same
from sequence_checks import Counting
from sequence_checks import ENGINES
from sequence_checks import link

from chainer_zoo import engines
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import bn_relu
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import Join
from chainer_zoo.sequence import Skip

SHAPES = [(4, 16, 5, 6), (4, 12, 8, 8), (2, 1, 3, 3), (8, 5), (1, 32, 4, 4)]


def run(function, shape, on, train=True):
    """Return output, gradients of x, gamma and beta, and running statistics."""
    random = np.random.RandomState(1)
    x = chainer.Variable(random.uniform(-2, 2, shape).astype(np.float32))
    bn = link(shape[1])
    with engines.CPU.using(on), chainer.using_config('train', train):
        y = function(x, bn)
        y.grad = random.uniform(-1, 1, shape).astype(np.float32)
        y.backward()
    return [y.array, x.grad, bn.gamma.grad, bn.beta.grad, bn.avg_mean, bn.avg_var]


@pytest.mark.parametrize('train', [True, False], ids=['training', 'test'])
@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_bn_relu_is_batch_normalization_then_relu(shape, on, train):
    apart = run(lambda x, bn: F.relu(bn(x)), shape, False, train)
    fused = run(bn_relu, shape, on, train)
    for a, b in zip(apart, fused):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_bn_relu_without_gradients(shape, on):
    x = np.random.RandomState(2).uniform(-2, 2, shape).astype(np.float32)
    bn = link(shape[1])
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        expected = F.relu(bn(x)).array
        with engines.CPU.using(on):
            np.testing.assert_allclose(bn_relu(x, bn).array, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
def test_a_gradient_is_a_variable_that_can_be_differentiated(on):
    x = chainer.Variable(np.random.RandomState(3).uniform(-2, 2, SHAPES[0]).astype(np.float32))
    bn = link(SHAPES[0][1])
    with engines.CPU.using(on):
        y = F.sum(bn_relu(x, bn) ** 2)
        (gx,) = chainer.grad([y], [x])
        y.backward()
    for gradient in gx, x.grad_var, bn.gamma.grad_var:
        F.sum(gradient * gradient).backward()
        np.testing.assert_allclose(gradient.grad, 2 * gradient.array, rtol=1e-6)


CONVOLUTIONS = {
    '3x3': dict(ksize=3, pad=1),
    '1x1 no bias': dict(ksize=1, nobias=True),
    'groups': dict(ksize=3, pad=1, groups=4),
    'dilated': dict(ksize=3, pad=2, dilate=2),
}


class Layers(chainer.Chain):
    """A pre-activated layer, an activated one, and a shortcut after both."""

    def __init__(self, channels, **kwargs):
        super().__init__()
        with self.init_scope():
            self.bn1, self.bn2, self.bn3 = link(channels), link(channels, 1), link(2 * channels, 2)
            self.conv1 = Convolution2D(channels, channels, **kwargs)
            self.conv2 = Convolution2D(channels, channels, **kwargs)
        for path, parameter in sorted(self.namedparams()):
            if path.startswith('/conv'):
                random = np.random.RandomState(len(path))
                parameter.array[...] = random.uniform(-0.5, 0.5, parameter.shape)

    def orders(self, x):
        """Return every order of steps that the models have, by name."""
        skip = Skip(x)
        return {
            'BN, ReLU, convolution': (self.bn1, F.relu, self.conv1),
            'convolution, BN': (self.conv1, self.bn1),
            'convolution, BN, ReLU': (self.conv1, self.bn1, F.relu),
            'convolution, sum': (self.conv1, skip),
            'convolution, sum, ReLU': (self.conv1, skip, F.relu),
            'convolution, BN, sum': (self.conv1, self.bn1, skip),
            'convolution, ReLU': (self.conv1, F.relu, self.conv2, F.relu),
            'two sums': (self.conv1, skip, skip, F.relu, skip),
            'convolution, BN, ReLU, sum': (self.conv1, self.bn1, F.relu, skip),
            'basic block': (self.conv1, self.bn1, F.relu, self.conv2, self.bn2, skip, F.relu),
            'pre-activated block': (
                self.bn1,
                F.relu,
                self.conv1,
                self.bn2,
                F.relu,
                self.conv2,
                skip,
            ),
            'dense layer': (self.bn1, F.relu, self.conv1, Join(x)),
            'joined and more': (self.conv1, Join(x), F.relu),
            'joined with another array': (self.conv1, Join(F.tanh(x)), self.bn3),
            'sum with another array': (self.conv1, self.bn1, Skip(F.tanh(x)), F.relu),
            'sum with two arrays': (self.bn1, F.relu, Skip(F.tanh(x)), self.conv1, skip),
            'joined and added': (self.conv1, skip, self.bn1, Join(x)),
            'scaled shortcut': (self.conv1, self.bn1, Skip(x, scale=0.5), F.relu, self.conv2),
            'strided shortcut': (lambda h: F.max_pooling_2d(h, 2, 2), self.conv1, Skip(x, 2)),
            'another function': (self.conv1, F.tanh, self.bn1, F.relu),
        }


def one_by_one(x, *steps):
    for step in steps:
        x = step(x)
    return x


def computed(layers, x, order, apply, train=True, backprop=True):
    """Return output, running statistics and, with ``backprop``, all gradients."""
    x = chainer.Variable(x)
    layers.cleargrads()
    with chainer.using_config('train', train), chainer.using_config('enable_backprop', backprop):
        y = apply(x, *layers.orders(x)[order])
        results = {'y': y.array}
        if backprop:
            y.grad = np.random.RandomState(5).uniform(-1, 1, y.shape).astype(np.float32)
            y.backward()
            results['x'] = x.grad
            results.update((path, p.grad) for path, p in layers.namedparams() if p.grad is not None)
    for bn in ('bn1', 'bn2', 'bn3'):
        results[bn + ' mean'] = layers[bn].avg_mean
        results[bn + ' variance'] = layers[bn].avg_var
    return results


ORDERS = sorted(Layers(4, ksize=1).orders(np.zeros((1, 4, 2, 2), np.float32)))


@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
@pytest.mark.parametrize(
    'train, backprop',
    [(True, True), (False, True), (True, False), (False, False)],
    ids=['training', 'test', 'training, no gradient', 'test, no gradient'],
)
@pytest.mark.parametrize('channels', [4, 16])
@pytest.mark.parametrize('order', ORDERS)
def test_a_sequence_is_its_steps_one_by_one(order, channels, train, backprop, on):
    x = np.random.RandomState(4).uniform(-1, 1, (3, channels, 6, 8)).astype(np.float32)
    results = []
    for engine, apply in ((False, one_by_one), (on, in_sequence)):
        with engines.CPU.using(engine):
            results.append(
                computed(Layers(channels, ksize=3, pad=1), x, order, apply, train, backprop)
            )
    assert_same(*results[::-1])


@pytest.mark.parametrize('kind', sorted(CONVOLUTIONS))
@pytest.mark.parametrize('order', ['basic block', 'pre-activated block'])
@pytest.mark.parametrize('train', [True, False], ids=['training', 'test'])
def test_a_sequence_takes_any_convolution(engine, order, kind, train):
    x = np.random.RandomState(4).uniform(-1, 1, (2, 16, 7, 5)).astype(np.float32)
    results = []
    for on, apply in ((False, one_by_one), (True, in_sequence)):
        with engines.CPU.using(on):
            results.append(
                computed(Layers(16, **CONVOLUTIONS[kind]), x, order, apply, train, backprop=train)
            )
    assert_same(*results[::-1])


def test_a_block_is_one_node(engine):
    x = chainer.Variable(np.ones((2, 16, 4, 4), np.float32))
    layers = Layers(16, ksize=3, pad=1)
    with engines.CPU.using(True):
        for order in ('basic block', 'pre-activated block'):
            y = in_sequence(x, *layers.orders(x)[order])
            assert [i.creator_node for i in y.creator_node.inputs] == (
                [None] * len(y.creator_node.inputs)
            ), order


@pytest.mark.parametrize('train', [True, False], ids=['training', 'test'])
def test_an_engine_may_offer_only_some_stages(engine, monkeypatch, train):
    from chainer_zoo.engines.cpu.stages import OneDNNStages

    class NoConvolutions(OneDNNStages):
        def convolve(self, x_shape, link, before):
            return None

    x = np.random.RandomState(4).uniform(-1, 1, (2, 16, 7, 5)).astype(np.float32)
    expected = computed(Layers(16, ksize=3, pad=1), x, 'basic block', one_by_one, train, train)
    monkeypatch.setattr(type(engines.CPU), 'stages', NoConvolutions())
    with engines.CPU.using(True):
        found = computed(Layers(16, ksize=3, pad=1), x, 'basic block', in_sequence, train, train)
    assert_same(found, expected)


def test_the_input_of_a_convolution_is_not_kept_beside_that_of_bn(engine):
    pytest.importorskip('numba')
    x = chainer.Variable(np.ones((8, 64, 16, 16), np.float32))
    layers = Layers(64, ksize=3, pad=1)
    with engines.CPU.using(True):
        y = in_sequence(x, layers.bn1, F.relu, layers.conv1, layers.bn2, F.relu, layers.conv2)
    bn1, conv1, bn2, conv2 = y.creator_node.stages
    for bn, conv in (bn1, conv1), (bn2, conv2):
        assert conv.affine_fusion.can_fuse_in_gradient
        assert conv.x is bn.x


@pytest.mark.parametrize('order', ORDERS)
def test_double_backward(engine, order):
    def second_order(on, apply):
        layers = Layers(4, ksize=3, pad=1)
        x = chainer.Variable(np.random.RandomState(3).uniform(-2, 2, (4, 4, 6, 6)).astype('f'))
        with engines.CPU.using(on):
            y = apply(x, *layers.orders(x)[order])
            gx, gW = chainer.grad([y**3], [x, layers.conv1.W], enable_double_backprop=True)
            (F.sum(gx * gx) + F.sum(gW * gW)).backward()
        grads = {path: p.grad for path, p in layers.namedparams() if p.grad is not None}
        return dict(grads, x=x.grad)

    assert_same(second_order(True, in_sequence), second_order(False, one_by_one), 2e-3)


def test_third_order_gradient(engine):
    def third_order(on, apply):
        layers = Layers(4, ksize=3, pad=1)
        x = chainer.Variable(np.random.RandomState(3).uniform(-2, 2, (2, 4, 4, 4)).astype('f'))
        with engines.CPU.using(on):
            y = apply(x, layers.conv1, layers.bn1)
            (gx,) = chainer.grad([y**3], [x], enable_double_backprop=True)
            (ggx,) = chainer.grad([gx * gx], [x], enable_double_backprop=True)
            F.sum(ggx * ggx).backward()
        return {'x': x.grad}

    assert_same(third_order(True, in_sequence), third_order(False, one_by_one), 1e-2)


@pytest.mark.parametrize('order', ORDERS)
@pytest.mark.parametrize('train', [True, False], ids=['training', 'test'])
def test_an_epilogue_without_fast_code_is_a_pass_of_its_own(engine, monkeypatch, order, train):
    """As on a processor for which oneDNN has only plain loops for it."""
    from chainer_zoo.engines.cpu.convolution import direct

    forward = direct.Direct._forward_primitive

    def refuse(self, with_bias, kinds=()):
        if kinds:
            raise direct.Refused()
        return forward(self, with_bias)

    monkeypatch.setattr(direct.Direct, '_forward_primitive', refuse)
    x = np.random.RandomState(4).uniform(-1, 1, (3, 16, 6, 8)).astype(np.float32)
    results = []
    for on, apply in ((False, one_by_one), (True, in_sequence)):
        with engines.CPU.using(on):
            results.append(computed(Layers(16, ksize=3, pad=1), x, order, apply, train, train))
    assert_same(*results[::-1])


@pytest.mark.parametrize('everywhere', [False, True], ids=['one link', 'all links'])
def test_hooks_of_links_are_called(engine, everywhere):
    x = np.ones((2, 16, 4, 4), np.float32)
    layers = Layers(16, ksize=3, pad=1)
    hook = Counting()
    steps = layers.orders(x)['pre-activated block']
    with engines.CPU.using(True):
        if everywhere:
            with hook:
                in_sequence(x, *steps)
        else:
            layers.conv2.add_hook(hook)
            in_sequence(x, *steps)
    assert hook.calls == (4 if everywhere else 1)


def test_one_number_a_channel_gets_chainers_warning(engine):
    with engines.CPU.using(True), pytest.warns(UserWarning, match='batch'):
        in_sequence(np.ones((1, 16, 1, 1), np.float32), link(16), F.relu)


def test_a_forgotten_forward_pass_updates_the_statistics_once(engine):
    x = chainer.Variable(np.random.RandomState(3).uniform(-2, 2, (4, 16, 6, 6)).astype('f'))
    statistics = []
    for forget in (False, True):
        bn = link(16)
        with engines.CPU.using(True):
            function = functools.partial(bn_relu, bn=bn)
            y = F.forget(function, x) if forget else function(x)
            F.sum(y).backward()
        statistics.append((bn.avg_mean, bn.avg_var))
    np.testing.assert_array_equal(*statistics)


def test_uninitialized_links_take_their_shape_from_the_first_input(engine):
    x = np.ones((2, 3, 4, 4), np.float32)
    conv = chainer.links.Convolution2D(None, 4, 3)
    with engines.CPU.using(True):
        for train in (False, True):
            with chainer.using_config('train', train):
                assert in_sequence(x, conv, BatchNormalization(4)).shape == (2, 4, 2, 2)
