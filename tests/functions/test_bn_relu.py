"""BN, ReLU and convolution in one pass are the same as one after the other."""
import chainer
import chainer.functions as F
import numpy as np
import pytest

from chainer_zoo import onednn
from chainer_zoo.functions import bn_relu
from chainer_zoo.functions import conv_bn
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import Convolution2D

ENGINES = [False, pytest.param(True, marks=pytest.mark.skipif(
    not onednn.is_available(), reason='oneDNN does not load'))]
SHAPES = [(4, 16, 5, 6), (4, 12, 8, 8), (2, 1, 3, 3), (8, 5), (1, 32, 4, 4)]


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
def test_double_backward(on):
    def second_order(function):
        x = chainer.Variable(np.random.RandomState(3).uniform(-2, 2, (4, 3, 5, 5)).astype('f'))
        bn = link(3)
        with onednn.using(on):
            y = function(x, bn)
            gx, = chainer.grad([y * y], [x], enable_double_backprop=True)
            F.sum(gx * gx).backward()
        return x.grad, bn.gamma.grad
    for a, b in zip(second_order(lambda x, bn: F.relu(bn(x))), second_order(bn_relu)):
        np.testing.assert_allclose(b, a, rtol=2e-3, atol=2e-3 * np.abs(a).max())


@pytest.mark.parametrize('on', ENGINES, ids=lambda on: 'oneDNN' if on else 'NumPy')
@pytest.mark.parametrize('relu', [False, True], ids=['alone', 'ReLU'])
@pytest.mark.parametrize('train', [True, False], ids=['training', 'test'])
@pytest.mark.parametrize('backprop', [True, False], ids=['gradients', 'none'])
@pytest.mark.parametrize('nobias', [True, False], ids=['no bias', 'bias'])
def test_convolution_and_batch_normalization_are_the_two_links(on, relu, train, backprop, nobias):
    x = np.random.RandomState(4).uniform(-1, 1, (3, 5, 8, 7)).astype(np.float32)
    conv = Convolution2D(5, 16, 3, 2, 1, nobias=nobias)
    if not nobias:
        conv.b.array[...] = np.arange(16) / 8.
    results = []
    with chainer.using_config('train', train), chainer.using_config('enable_backprop', backprop):
        y = link(16)(conv(x))
        results.append((F.relu(y) if relu else y).array)
        with onednn.using(on):
            results.append(conv_bn(x, conv, link(16), relu).array)
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-4)


def test_links_that_wait_for_their_first_input_get_their_shape_from_it():
    x = np.ones((2, 3, 4, 4), np.float32)
    conv = chainer.links.Convolution2D(None, 4, 3)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        assert conv_bn(x, conv, BatchNormalization(4)).shape == (2, 4, 2, 2)
