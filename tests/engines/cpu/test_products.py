"""The gradient of weights by products of matrices, which only some processors use by themselves."""

import chainer
import chainer.functions as F
import numpy as np
import pytest

from chainer_zoo.engines.cpu import convolution
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.cpu.convolution import direct
from chainer_zoo.engines.cpu.convolution import products
from chainer_zoo.engines.geometry import Geometry


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def arrays(b, c, h, w, o, kernel, seed=0):
    """Return x, gy and a shape of weights."""
    rng = np.random.RandomState(seed)
    x, gy = [channels_last(rng.standard_normal((b, n, h, w)).astype('f')) for n in (c, o)]
    return x, gy, (o, c, kernel, kernel)


def same_size(x, gy, w_shape):
    """Return the geometry of a convolution whose result has the size of its input."""
    return Geometry(x.shape, w_shape, gy.shape, pad=(w_shape[2] // 2, w_shape[3] // 2))


def expected(x, gy, w_shape):
    """Return Chainer's gradients of weights and bias, in float64."""
    W, b = [chainer.Parameter(np.zeros(shape)) for shape in (w_shape, w_shape[:1])]
    y = F.convolution_2d(x.astype('d'), W, b, pad=w_shape[2] // 2)
    y.grad = gy.astype('d')
    y.backward()
    return W.grad, b.grad


@pytest.mark.parametrize('chunk', [1, 300, 1 << 20])
@pytest.mark.parametrize(
    'shape',
    [
        (1, 1, 1, 1, 1, 1),
        (3, 2, 4, 5, 6, 1),
        (1, 1, 1, 1, 1, 3),
        (7, 4, 9, 8, 3, 3),
        (2, 3, 1, 6, 5, 3),
        (2, 17, 7, 7, 9, 3),
        (4, 3, 6, 5, 2, 5),
        (2, 3, 2, 3, 2, 7),
    ],
)
def test_it_is_chainers_gradient(shape, chunk, unfilled, monkeypatch):
    monkeypatch.setattr(products, '_CHUNK', chunk)
    x, gy, w_shape = arrays(*shape)
    geometry = same_size(x, gy, w_shape)
    gW, gb = products.gradient(x, gy, geometry, True)
    for found, wanted in zip((gW, gb), expected(x, gy, w_shape)):
        assert found.dtype == np.float32 and found.flags.c_contiguous
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * max(1, abs(wanted).max()))
    alone, nothing = products.gradient(x, gy, geometry, False)
    np.testing.assert_allclose(alone, gW, rtol=0, atol=1e-5 * max(1, abs(gW).max()))
    assert nothing is None


PLAIN = Geometry((2, 3, 24, 32), (5, 3, 3, 3), (2, 5, 24, 32), pad=(1, 1))


@pytest.mark.parametrize(
    'changes, should',
    [
        (dict(), True),
        (dict(w_shape=(5, 3, 1, 1), pad=(0, 0)), True),
        (dict(w_shape=(5, 3, 1, 1), pad=(0, 0), x_shape=(2, 3, 1, 1), y_shape=(2, 5, 1, 1)), True),
        (dict(w_shape=(5, 3, 5, 5), pad=(2, 2)), True),
        (dict(x_shape=(2, 3, 23, 32), y_shape=(2, 5, 23, 32)), False),
        (dict(x_shape=(2, 3, 24, 16), y_shape=(2, 5, 24, 16)), False),
        (dict(w_shape=(5, 3, 3, 1), pad=(1, 0)), False),
        (dict(w_shape=(5, 3, 2, 2), y_shape=(2, 5, 25, 33)), False),
        (dict(pad=(0, 0), y_shape=(2, 5, 22, 30)), False),
        (dict(stride=(2, 2), y_shape=(2, 5, 12, 16)), False),
        (dict(stride=(2, 2), pad=(0, 0), w_shape=(5, 3, 1, 1), y_shape=(2, 5, 12, 16)), False),
        (dict(pad=(2, 2), dilation=(2, 2)), False),
        (dict(dilation=(2, 2)), False),  # with more padding on the far side
        (dict(w_shape=(3, 1, 3, 3), y_shape=(2, 3, 24, 32), groups=3), False),
    ],
)
def test_it_is_chosen_for_what_it_computes_where_that_is_faster(changes, should):
    assert products.should_compute(PLAIN._replace(**changes)) == should


@pytest.mark.parametrize('kernel', [1, 3])
@pytest.mark.parametrize('slow', [False, True])
def test_a_convolution_uses_it_where_onednn_is_slow(kernel, slow, monkeypatch):
    calls = []

    def gradient(*args):
        calls.append(args)
        return real(*args)

    real = products.gradient
    x, gy, w_shape = arrays(2, 3, 24, 25, 5, kernel)
    geometry = same_size(x, gy, w_shape)
    name = direct.get(geometry).weights_implementation(True)
    monkeypatch.setattr(products, 'gradient', gradient)
    monkeypatch.setattr(products, 'SLOW', (name,) if slow else ())
    found = convolution.backward_weights(x, gy, geometry, True)
    assert len(calls) == slow
    for one, wanted in zip(found, expected(x, gy, w_shape)):
        np.testing.assert_allclose(one, wanted, rtol=0, atol=1e-5 * abs(wanted).max())


def test_its_primitives_are_kept():
    x, gy, w_shape = arrays(3, 4, 6, 5, 2, 3)
    products.gradient(x, gy, same_size(x, gy, w_shape), True)
    before = dict(primitive.context().primitives)
    products.gradient(x, gy, same_size(x, gy, w_shape), True)
    assert primitive.context().primitives == before
