"""Layers side by side, and layers that see all before them, give what F.concat gives."""

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
from chainer_zoo.links import BNReLUConv
from chainer_zoo.links import ConvBNReLU
from chainer_zoo.links import Convolution2D
from chainer_zoo.sequence import grow
from chainer_zoo.sequence import in_parallel
from chainer_zoo.sequence import in_sequence
from chainer_zoo.sequence import Skip


class ActivatedLayer(BNReLUConv):
    @property
    def sequence(self):
        return (*super().sequence, F.relu)


class Branches(chainer.Chain):
    """Layers side by side, and layers that see all before them."""

    def __init__(self, channels, hw=(16, 18)):
        super().__init__()
        self.hw = hw
        ksizes = dict(narrow=1, wide=3, other=3, strided=3)
        with self.init_scope():
            for i, (name, ksize) in enumerate(sorted(ksizes.items())):
                stride = 2 if name == 'strided' else 1
                conv = Convolution2D(channels, 6 + i, ksize, stride, ksize // 2)
                conv.W.array[...] = np.random.RandomState(i).uniform(-0.5, 0.5, conv.W.shape)
                setattr(self, name, conv)
                setattr(self, f'bn_before_{name}', link(channels, i))
                setattr(self, f'bn_after_{name}', link(6 + i, 10 + i))
            self.layer0 = dense_layer(BNReLUConv, channels, 0)
            self.layer1 = dense_layer(BNReLUConv, channels + 5, 1)
            self.layer2 = dense_layer(BNReLUConv, channels + 10, 2)
            self.activated = dense_layer(ActivatedLayer, channels + 5, 1)

    def before(self, name):
        return self[f'bn_before_{name}'], F.relu, self[name]

    def after(self, name):
        return self[name], self[f'bn_after_{name}'], F.relu

    def both(self, name):
        return (*self.before(name), *self.after(name)[1:])

    def kinds(self, x):
        """Return what can be computed of ``x``, by name."""
        return {
            'fire': lambda: in_parallel((x, *self.before('narrow')), (x, *self.before('wide'))),
            'paths': lambda: in_parallel((x, *self.after('other')), (x, *self.both('wide'))),
            'narrow paths': lambda: in_parallel(
                (x, *self.after('narrow')), (x, *self.both('narrow'))
            ),
            'a shortcut in a branch': lambda: in_parallel(
                (x, self.narrow), (x, *self.after('wide'), Skip(self.wide(x)), F.relu)
            ),
            'no steps in a branch': lambda: in_parallel((x,), (x, *self.before('wide'))),
            'another function': lambda: in_parallel((x, F.tanh), (x, self.narrow)),
            'strided': lambda: in_parallel((x, self.strided), (x, self.strided, F.relu)),
            'only normalization': lambda: in_parallel((x, self.bn_before_wide), (x, self.wide)),
            'dense': lambda: grow(x, self.layer0, self.layer1, self.layer2),
            'dense, one layer': lambda: grow(x, self.layer0),
            'dense, no layer': lambda: F.relu(grow(x)),
            'dense, ReLU after': lambda: grow(x, self.layer0, self.activated),
        }


def dense_layer(kind, channels, seed):
    """Return BN, ReLU and a convolution that adds 5 channels."""
    layer = kind(channels, 5, 3, 1, 1)
    layer.bn = link(channels, 30 + seed)
    shape = layer.conv.W.shape
    layer.conv.W.array[...] = np.random.RandomState(20 + seed).uniform(-0.5, 0.5, shape)
    return layer


KINDS = sorted(Branches(4).kinds(None))


def with_branches(kind, on, train, backprop, shape=(8, 16, 16, 18)):
    """Return the result, its gradients where there are any, and running statistics."""
    x = chainer.Variable(np.random.RandomState(6).uniform(-1, 1, shape).astype(np.float32))
    branches = Branches(shape[1])
    with (
        engines.CPU.using(on),
        chainer.using_config('train', train),
        chainer.using_config('enable_backprop', backprop),
    ):
        y = branches.kinds(x)[kind]()
        results = {'y': y.array}
        if backprop:
            y.grad = np.random.RandomState(5).uniform(-1, 1, y.shape).astype(np.float32)
            y.backward()
            results['x'] = x.grad
            results.update(
                (path, p.grad) for path, p in branches.namedparams() if p.grad is not None
            )
    results.update((path, value) for path, value in persistents(branches))
    return results


def persistents(chain):
    for path, child in chain.namedlinks():
        if isinstance(child, BatchNormalization):
            yield path + '/mean', child.avg_mean
            yield path + '/variance', child.avg_var


@pytest.mark.parametrize(
    'train, backprop',
    [(True, True), (False, True), (True, False), (False, False)],
    ids=['training', 'test', 'training, no gradient', 'test, no gradient'],
)
@pytest.mark.parametrize('kind', KINDS)
def test_branches_are_the_same_with_the_engine(engine, kind, train, backprop):
    assert_same(
        with_branches(kind, True, train, backprop), with_branches(kind, False, train, backprop)
    )


def test_branches_are_joined_in_their_order(engine):
    x = np.ones((1, 4, 3, 3), np.float32)
    branches = Branches(4)
    a, b = branches.narrow, branches.wide
    for on in (False, True):
        with (
            engines.CPU.using(on),
            chainer.using_config('train', False),
            chainer.no_backprop_mode(),
        ):
            y = in_parallel((x, b), (x, a), (x, b, F.relu)).array
            expected = np.concatenate([b(x).array, a(x).array, F.relu(b(x)).array], 1)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    'kind, inputs', [('fire', 0), ('paths', 0), ('narrow paths', 0), ('dense', 1)]
)
def test_an_evaluation_copies_no_result(engine, kind, inputs, monkeypatch):
    pytest.importorskip('numba')
    from chainer_zoo.engines.cpu import joining
    from chainer_zoo.engines.cpu import memory
    from chainer_zoo.engines.cpu import primitive
    from chainer_zoo.engines.cpu import stages
    from chainer_zoo.engines.cpu.convolution import winograd

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
    from chainer_zoo.engines.cpu import openmp
    from chainer_zoo.engines.cpu import primitive
    from chainer_zoo.engines.cpu import stages

    monkeypatch.setattr(openmp, 'can_run', lambda: False)
    monkeypatch.setattr(primitive.context(), 'primitives', {})
    stages._examine.cache_clear()
    try:
        assert_same(
            with_branches(kind, True, False, False), with_branches(kind, False, False, False)
        )
    finally:
        stages._examine.cache_clear()


def test_nothing_grows_without_layers():
    for shape in (2, 3, 4, 4), (5, 8):
        x = chainer.Variable(np.ones(shape, np.float32))
        for on in (False, engines.CPU.is_available()):
            with engines.CPU.using(on), chainer.using_config('train', False):
                with chainer.no_backprop_mode():
                    assert grow(x) is x


@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
@pytest.mark.parametrize('kind', [BNReLUConv, ConvBNReLU])
def test_hooks_of_sequential_chains_are_called(kind, on):
    x = np.ones((2, 4, 5, 5), np.float32)
    link, other = kind(4, 3), kind(4, 2)
    hook = Counting()
    link.add_hook(hook)
    with engines.CPU.using(on):
        y = in_parallel((x, link), (x, other))
        assert hook.calls == 1
        with Counting() as everywhere:
            in_parallel((x, other), (x, other))
    assert everywhere.calls == 2 * 3
    expected = in_sequence(x, *link.sequence), in_sequence(x, *other.sequence)
    np.testing.assert_allclose(y.array, F.concat(expected).array, rtol=1e-3, atol=1e-5)


class Doubled(ConvBNReLU):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
def test_a_link_with_a_forward_of_its_own_is_called_whole(on):
    x = np.random.RandomState(0).uniform(-1, 1, (2, 4, 5, 5)).astype(np.float32)
    by_class, by_attribute = Doubled(4, 4), ConvBNReLU(4, 4)
    by_attribute.forward = lambda x: 2 * ConvBNReLU.forward(by_attribute, x)
    for doubled in by_class, by_attribute:
        plain = in_sequence(x, *doubled.sequence)
        with engines.CPU.using(on):
            np.testing.assert_allclose(
                in_sequence(x, doubled).array, 2 * plain.array, rtol=1e-3, atol=1e-5
            )


def test_layers_with_hooks_grow_one_by_one(engine):
    x = np.ones((8, 16, 16, 18), np.float32)
    branches = Branches(16)
    hook = Counting()
    branches.layer1.conv.add_hook(hook)
    with engines.CPU.using(True), chainer.using_config('train', False), chainer.no_backprop_mode():
        branches.kinds(chainer.Variable(x))['dense']()
    assert hook.calls == 1
