"""Layers taken together give what they give one after the other."""
import chainer
import chainer.functions as F
import numpy as np
import pytest

from chainer_zoo import onednn
from chainer_zoo.functions import bn_relu
from chainer_zoo.functions import grow
from chainer_zoo.functions import in_parallel
from chainer_zoo.functions import in_sequence
from chainer_zoo.functions import Join
from chainer_zoo.functions import Skip
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import Convolution2D

ENGINES = [False, pytest.param(True, marks=pytest.mark.skipif(
    not onednn.is_available(), reason='oneDNN does not load'))]

SHAPES = [(4, 16, 5, 6), (4, 12, 8, 8), (2, 1, 3, 3), (8, 5), (1, 32, 4, 4)]


@pytest.fixture
def engine():
    if not onednn.is_available():
        pytest.skip('oneDNN does not load: ' + onednn.why_not())


def link(channels, seed=0):
    random = np.random.RandomState(seed)
    bn = BatchNormalization(channels)
    bn.gamma.array[...] = random.uniform(-1, 2, channels)
    bn.beta.array[...] = random.uniform(-1, 1, channels)
    bn.avg_mean[...] = random.uniform(-1, 1, channels)
    bn.avg_var[...] = random.uniform(0.5, 2, channels)
    return bn


def run(function, shape, on, train=True):
    """Return output, gradients of x, gamma and beta, and running statistics."""
    random = np.random.RandomState(1)
    x = chainer.Variable(random.uniform(-2, 2, shape).astype(np.float32))
    bn = link(shape[1])
    with onednn.using(on), chainer.using_config('train', train):
        y = function(x, bn)
        y.grad = random.uniform(-1, 1, shape).astype(np.float32)
        y.backward()
    return [y.array, x.grad, bn.gamma.grad, bn.beta.grad, bn.avg_mean, bn.avg_var]


@pytest.mark.parametrize('train', [True, False], ids=['training', 'test'])
@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_output_gradients_and_statistics_are_those_of_the_two_functions(shape, on, train):
    apart = run(lambda x, bn: F.relu(bn(x)), shape, False, train)
    fused = run(bn_relu, shape, on, train)
    for a, b in zip(apart, fused):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_without_gradients_the_output_is_the_same(shape, on):
    x = np.random.RandomState(2).uniform(-2, 2, shape).astype(np.float32)
    bn = link(shape[1])
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        expected = F.relu(bn(x)).array
        with onednn.using(on):
            np.testing.assert_allclose(bn_relu(x, bn).array, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
def test_a_gradient_can_be_differentiated_as_a_variable_of_its_own(on):
    x = chainer.Variable(np.random.RandomState(3).uniform(-2, 2, SHAPES[0]).astype(np.float32))
    bn = link(SHAPES[0][1])
    with onednn.using(on):
        y = F.sum(bn_relu(x, bn) ** 2)
        gx, = chainer.grad([y], [x])
        y.backward()
    for gradient in gx, x.grad_var, bn.gamma.grad_var:
        F.sum(gradient * gradient).backward()
        np.testing.assert_allclose(gradient.grad, 2 * gradient.array, rtol=1e-6)


CONVOLUTIONS = {
    '3x3': dict(ksize=3, pad=1), '1x1 no bias': dict(ksize=1, nobias=True),
    'groups': dict(ksize=3, pad=1, groups=4), 'dilated': dict(ksize=3, pad=2, dilate=2)}


class Layers(chainer.Chain):
    """A pre-activated layer, an activated one, and a shortcut behind both."""

    def __init__(self, channels, **kwargs):
        super(Layers, self).__init__()
        with self.init_scope():
            self.bn1, self.bn2 = link(channels), link(channels, 1)
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
                self.bn1, F.relu, self.conv1, self.bn2, F.relu, self.conv2, skip),
            'dense layer': (self.bn1, F.relu, self.conv1, Join(x)),
            'joined and more': (self.conv1, Join(x), F.relu),
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
            results.update((path, p.grad) for path, p in layers.namedparams()
                           if p.grad is not None)
    for bn in ('bn1', 'bn2'):
        results[bn + ' mean'] = layers[bn].avg_mean
        results[bn + ' variance'] = layers[bn].avg_var
    return results


def assert_same(ours, theirs, rtol=1e-3):
    """Compare by name; what is 0 but for rounding (biases ahead of BN) counts as 0."""
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_allclose(
            ours[name], theirs[name], rtol=rtol,
            atol=max(rtol * np.abs(theirs[name]).max(), 1e-5), err_msg=name)


ORDERS = sorted(Layers(4, ksize=1).orders(np.zeros((1, 4, 2, 2), np.float32)))


@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
@pytest.mark.parametrize('train, backprop', [(True, True), (False, True), (True, False),
                                             (False, False)],
                         ids=['training', 'test', 'training, no gradient', 'test, no gradient'])
@pytest.mark.parametrize('channels', [4, 16])
@pytest.mark.parametrize('order', ORDERS)
def test_steps_taken_together_are_the_steps_one_by_one(order, channels, train, backprop, on):
    x = np.random.RandomState(4).uniform(-1, 1, (3, channels, 6, 8)).astype(np.float32)
    results = []
    for engine, apply in ((False, one_by_one), (on, in_sequence)):
        with onednn.using(engine):
            results.append(computed(
                Layers(channels, ksize=3, pad=1), x, order, apply, train, backprop))
    assert_same(*results[::-1])


@pytest.mark.parametrize('kind', sorted(CONVOLUTIONS))
@pytest.mark.parametrize('order', ['basic block', 'pre-activated block'])
@pytest.mark.parametrize('train', [True, False], ids=['training', 'test'])
def test_any_kind_of_convolution_is_taken(engine, order, kind, train):
    x = np.random.RandomState(4).uniform(-1, 1, (2, 16, 7, 5)).astype(np.float32)
    results = []
    for on, apply in ((False, one_by_one), (True, in_sequence)):
        with onednn.using(on):
            results.append(computed(Layers(16, **CONVOLUTIONS[kind]), x, order, apply, train,
                                    backprop=train))
    assert_same(*results[::-1])


class Branches(chainer.Chain):
    """Layers side by side, and layers that see all before them."""

    def __init__(self, channels, hw=(16, 18)):
        super(Branches, self).__init__()
        self.hw = hw
        ksizes = dict(narrow=1, wide=3, other=3, strided=3)
        with self.init_scope():
            for i, (name, ksize) in enumerate(sorted(ksizes.items())):
                stride = 2 if name == 'strided' else 1
                conv = Convolution2D(channels, 6 + i, ksize, stride, ksize // 2)
                conv.W.array[...] = np.random.RandomState(i).uniform(-0.5, 0.5, conv.W.shape)
                setattr(self, name, conv)
                setattr(self, 'ahead_' + name, link(channels, i))
                setattr(self, 'behind_' + name, link(6 + i, 10 + i))
            for i in range(3):
                conv = Convolution2D(channels + 5 * i, 5, 3, 1, 1)
                conv.W.array[...] = np.random.RandomState(20 + i).uniform(-0.5, 0.5, conv.W.shape)
                setattr(self, 'conv%d' % i, conv)
                setattr(self, 'bn%d' % i, link(channels + 5 * i, 30 + i))

    def ahead(self, name):
        return self['ahead_' + name], F.relu, self[name]

    def behind(self, name):
        return self[name], self['behind_' + name], F.relu

    def both(self, name):
        return self['ahead_' + name], F.relu, self[name], self['behind_' + name], F.relu

    def grown(self, i):
        return self['bn%d' % i], F.relu, self['conv%d' % i]

    def kinds(self, x):
        """Return what can be computed of ``x``, by name."""
        return {
            'fire': lambda: in_parallel((x, *self.ahead('narrow')), (x, *self.ahead('wide'))),
            'paths': lambda: in_parallel((x, *self.behind('other')), (x, *self.both('wide'))),
            'narrow paths': lambda: in_parallel(
                (x, *self.behind('narrow')), (x, *self.both('narrow'))),
            'a shortcut in a branch': lambda: in_parallel(
                (x, self.narrow), (x, *self.behind('wide'), Skip(self.wide(x)), F.relu)),
            'no steps in a branch': lambda: in_parallel((x,), (x, *self.ahead('wide'))),
            'another function': lambda: in_parallel((x, F.tanh), (x, self.narrow)),
            'strided': lambda: in_parallel((x, self.strided), (x, self.strided, F.relu)),
            'only normalization': lambda: in_parallel((x, self.ahead_wide), (x, self.wide)),
            'dense': lambda: grow(x, *[self.grown(i) for i in range(3)]),
            'dense, one layer': lambda: grow(x, self.grown(0)),
            'dense, no layer': lambda: F.relu(grow(x)),
            'dense, ReLU behind': lambda: grow(x, self.grown(0), self.grown(1) + (F.relu,)),
        }


KINDS = sorted(Branches(4).kinds(None))


def with_branches(kind, on, train, backprop, shape=(8, 16, 16, 18)):
    """Return the result, its gradients where there are any, and running statistics."""
    x = chainer.Variable(np.random.RandomState(6).uniform(-1, 1, shape).astype(np.float32))
    branches = Branches(shape[1])
    with onednn.using(on), chainer.using_config('train', train), chainer.using_config(
            'enable_backprop', backprop):
        y = branches.kinds(x)[kind]()
        results = {'y': y.array}
        if backprop:
            y.grad = np.random.RandomState(5).uniform(-1, 1, y.shape).astype(np.float32)
            y.backward()
            results['x'] = x.grad
            results.update((path, p.grad) for path, p in branches.namedparams()
                           if p.grad is not None)
    results.update((path, value) for path, value in persistents(branches))
    return results


def persistents(chain):
    for path, child in chain.namedlinks():
        if isinstance(child, BatchNormalization):
            yield path + '/mean', child.avg_mean
            yield path + '/variance', child.avg_var


@pytest.mark.parametrize('train, backprop', [(True, True), (False, True), (True, False),
                                             (False, False)],
                         ids=['training', 'test', 'training, no gradient', 'test, no gradient'])
@pytest.mark.parametrize('kind', KINDS)
def test_branches_are_the_same_with_the_engine(engine, kind, train, backprop):
    assert_same(with_branches(kind, True, train, backprop),
                with_branches(kind, False, train, backprop))


def test_branches_are_joined_in_their_order(engine):
    x = np.ones((1, 4, 3, 3), np.float32)
    branches = Branches(4)
    a, b = branches.narrow, branches.wide
    for on in (False, True):
        with onednn.using(on), chainer.using_config('train', False), chainer.no_backprop_mode():
            y = in_parallel((x, b), (x, a), (x, b, F.relu)).array
            expected = np.concatenate([b(x).array, a(x).array, F.relu(b(x)).array], 1)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('kind, inputs', [
    ('fire', 0), ('paths', 0), ('narrow paths', 0), ('dense', 1)])
def test_without_gradients_no_result_is_copied(engine, kind, inputs, monkeypatch):
    pytest.importorskip('numba')
    from chainer_zoo.onednn import joining
    from chainer_zoo.onednn import memory
    from chainer_zoo.onednn import primitive
    from chainer_zoo.onednn import stages
    from chainer_zoo.onednn import winograd
    monkeypatch.setattr(winograd, '_least_channels', lambda: (0, 0))
    monkeypatch.setattr(primitive.context(), 'primitives', {})
    stages._examine.cache_clear()
    copied = []
    monkeypatch.setattr(joining, 'concat', lambda xs: pytest.fail('concatenated'))
    monkeypatch.setattr(memory, 'copy_into', lambda y, x: copied.append(x.shape))
    monkeypatch.setattr(memory, 'to_channels_last', engine_layout)
    try:
        with_branches(kind, True, False, False)
    finally:
        stages._examine.cache_clear()
    assert copied == [(8, 16, 16, 18)] * inputs


def engine_layout(x, _):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize('kind', KINDS)
def test_without_compiled_loops_branches_are_the_same(engine, kind, monkeypatch):
    from chainer_zoo.onednn import primitive
    from chainer_zoo.onednn import regions
    from chainer_zoo.onednn import stages
    monkeypatch.setattr(regions, 'are_possible', lambda: False)
    monkeypatch.setattr(primitive.context(), 'primitives', {})
    stages._examine.cache_clear()
    try:
        assert_same(with_branches(kind, True, False, False),
                    with_branches(kind, False, False, False))
    finally:
        stages._examine.cache_clear()


def test_nothing_grows_without_layers():
    for shape in (2, 3, 4, 4), (5, 8):
        x = chainer.Variable(np.ones(shape, np.float32))
        for on in (False, onednn.is_available()):
            with onednn.using(on), chainer.using_config('train', False):
                with chainer.no_backprop_mode():
                    assert grow(x) is x


@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
@pytest.mark.parametrize('kind', [BNReLUConv, ConvBNReLU])
def test_hooks_of_links_that_have_steps_are_called(kind, on):
    x = np.ones((2, 4, 5, 5), np.float32)
    link, other = kind(4, 3), kind(4, 2)
    hook = _Counting()
    link.add_hook(hook)
    with onednn.using(on):
        y = in_parallel((x, *link.steps()), (x, *other.steps()))
        assert hook.calls == 1
        with _Counting() as everywhere:
            in_parallel((x, *other.steps()), (x, *other.steps()))
    assert everywhere.calls == 2 * 3
    expected = in_sequence(x, *link._steps()), in_sequence(x, *other._steps())
    np.testing.assert_allclose(y.array, F.concat(expected).array, rtol=1e-3, atol=1e-5)


def test_layers_with_hooks_grow_one_by_one(engine):
    x = np.ones((8, 16, 16, 18), np.float32)
    branches = Branches(16)
    hook = _Counting()
    branches.conv1.add_hook(hook)
    with onednn.using(True), chainer.using_config('train', False), chainer.no_backprop_mode():
        branches.kinds(chainer.Variable(x))['dense']()
    assert hook.calls == 1


def test_a_block_is_one_node(engine):
    x = chainer.Variable(np.ones((2, 16, 4, 4), np.float32))
    layers = Layers(16, ksize=3, pad=1)
    with onednn.using(True):
        for order in ('basic block', 'pre-activated block'):
            y = in_sequence(x, *layers.orders(x)[order])
            assert [i.creator_node for i in y.creator_node.inputs] == (
                [None] * len(y.creator_node.inputs)), order


def test_what_a_convolution_reads_is_kept_once_where_its_gradient_can_normalize(engine):
    pytest.importorskip('numba')
    x = chainer.Variable(np.ones((8, 64, 16, 16), np.float32))
    layers = Layers(64, ksize=3, pad=1)
    with onednn.using(True):
        y = in_sequence(x, layers.bn1, F.relu, layers.conv1, layers.bn2, F.relu, layers.conv2)
    bn1, conv1, bn2, conv2 = y.creator_node.stages
    for bn, conv in (bn1, conv1), (bn2, conv2):
        assert conv.reads_normalized.in_gradient
        assert conv.x is bn.x


@pytest.mark.parametrize('order', ORDERS)
def test_double_backward(engine, order):
    def second_order(on, apply):
        layers = Layers(4, ksize=3, pad=1)
        x = chainer.Variable(np.random.RandomState(3).uniform(-2, 2, (4, 4, 6, 6)).astype('f'))
        with onednn.using(on):
            y = apply(x, *layers.orders(x)[order])
            gx, gW = chainer.grad([y ** 3], [x, layers.conv1.W], enable_double_backprop=True)
            (F.sum(gx * gx) + F.sum(gW * gW)).backward()
        grads = {path: p.grad for path, p in layers.namedparams() if p.grad is not None}
        return dict(grads, x=x.grad)
    assert_same(second_order(True, in_sequence), second_order(False, one_by_one), 2e-3)


def test_a_third_gradient_is_there_too(engine):
    def third_order(on, apply):
        layers = Layers(4, ksize=3, pad=1)
        x = chainer.Variable(np.random.RandomState(3).uniform(-2, 2, (2, 4, 4, 4)).astype('f'))
        with onednn.using(on):
            y = apply(x, layers.conv1, layers.bn1)
            gx, = chainer.grad([y ** 3], [x], enable_double_backprop=True)
            ggx, = chainer.grad([gx * gx], [x], enable_double_backprop=True)
            F.sum(ggx * ggx).backward()
        return {'x': x.grad}
    assert_same(third_order(True, in_sequence), third_order(False, one_by_one), 1e-2)


@pytest.mark.parametrize('order', ORDERS)
@pytest.mark.parametrize('train', [True, False], ids=['training', 'test'])
def test_without_code_for_convolution_and_more_in_one_it_is_done_apart(
        engine, monkeypatch, order, train):
    """As on a processor for which oneDNN has only plain loops for it."""
    from chainer_zoo.onednn import convolution
    forward = convolution._Convolution._forward

    def refuse(self, with_bias, then=()):
        if then:
            raise convolution.Refused()
        return forward(self, with_bias)
    monkeypatch.setattr(convolution._Convolution, '_forward', refuse)
    x = np.random.RandomState(4).uniform(-1, 1, (3, 16, 6, 8)).astype(np.float32)
    results = []
    for on, apply in ((False, one_by_one), (True, in_sequence)):
        with onednn.using(on):
            results.append(computed(Layers(16, ksize=3, pad=1), x, order, apply, train, train))
    assert_same(*results[::-1])


class _Counting(chainer.LinkHook):
    name = 'counting'
    calls = 0

    def forward_preprocess(self, args):
        self.calls += 1


@pytest.mark.parametrize('everywhere', [False, True], ids=['one link', 'all links'])
def test_hooks_of_links_are_called(engine, everywhere):
    x = np.ones((2, 16, 4, 4), np.float32)
    layers = Layers(16, ksize=3, pad=1)
    hook = _Counting()
    steps = layers.orders(x)['pre-activated block']
    with onednn.using(True):
        if everywhere:
            with hook:
                in_sequence(x, *steps)
        else:
            layers.conv2.add_hook(hook)
            in_sequence(x, *steps)
    assert hook.calls == (4 if everywhere else 1)


def test_a_batch_of_one_number_a_channel_gets_chainers_warning(engine):
    with onednn.using(True), pytest.warns(UserWarning, match='batch'):
        in_sequence(np.ones((1, 16, 1, 1), np.float32), link(16), F.relu)


def test_a_forgotten_forward_pass_updates_the_statistics_once(engine):
    x = chainer.Variable(np.random.RandomState(3).uniform(-2, 2, (4, 16, 6, 6)).astype('f'))
    statistics = []
    for forget in (False, True):
        bn = link(16)
        with onednn.using(True):
            y = F.forget(lambda x: bn_relu(x, bn), x) if forget else bn_relu(x, bn)
            F.sum(y).backward()
        statistics.append((bn.avg_mean, bn.avg_var))
    np.testing.assert_array_equal(*statistics)


def test_links_that_wait_for_their_first_input_get_their_shape_from_it(engine):
    x = np.ones((2, 3, 4, 4), np.float32)
    conv = chainer.links.Convolution2D(None, 4, 3)
    with onednn.using(True):
        for train in (False, True):
            with chainer.using_config('train', train):
                assert in_sequence(x, conv, BatchNormalization(4)).shape == (2, 4, 2, 2)
