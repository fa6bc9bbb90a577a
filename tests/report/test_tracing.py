"""A network computed in shapes only gives the shapes that it really gives."""

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer.functions.connection.convolution_2d import Convolution2DFunction
from chainer.functions.pooling.pooling_2d import Pooling2D

from chainer_zoo import initializers
from chainer_zoo.functions import depthwise_convolution
from chainer_zoo.links import Convolution2D
from chainer_zoo.report import tracing

X = np.random.RandomState(0).uniform(-1, 1, (2, 4, 9, 8)).astype(np.float32)
W = np.ones((6, 4, 3, 2), np.float32)

FUNCTIONS = {
    'convolution': lambda x: F.convolution_2d(x, W, None, 2, (1, 0)),
    'dilated convolution': lambda x: F.convolution_2d(x, W, None, 1, 1, dilate=2),
    'grouped convolution': lambda x: F.convolution_2d(x, W[:, :2], None, 1, 1, groups=2),
    'depthwise convolution': lambda x: depthwise_convolution(x, W[:4, :1], 2, (2, 1)),
    'linear': lambda x: F.linear(x, np.ones((5, 4 * 9 * 8), np.float32)),
    'max pooling over the edge': lambda x: F.max_pooling_2d(x, 3, 2, 1),
    'max pooling': lambda x: F.max_pooling_2d(x, 3, 2, 1, cover_all=False),
    'average pooling': lambda x: F.average_pooling_2d(x, (3, 2), 2, (1, 0)),
    'batch normalization': lambda x: F.batch_normalization(x, np.ones(4, 'f'), np.zeros(4, 'f')),
    'relu': F.relu,
    'a function without a rule': lambda x: F.concat((x, F.sigmoid(x[:, :1]))),
}


@pytest.mark.parametrize('name', FUNCTIONS)
def test_shape_and_dtype_are_those_of_the_real_result(name):
    real = FUNCTIONS[name](chainer.Variable(X))
    with tracing.ShapesOnly():
        found = FUNCTIONS[name](chainer.Variable(X))
    assert found.shape == real.shape and found.dtype == real.dtype
    assert not any(found.array.strides)  # one number stands for all


def test_products_are_counted_by_hand():
    with tracing.ShapesOnly() as hook:
        FUNCTIONS['convolution'](X)  # 6 x 5 x 4 pixels of 4 x 3 x 2 products, 2 images
        FUNCTIONS['grouped convolution'](X)  # 6 x 9 x 9 pixels of 2 x 3 x 2
        FUNCTIONS['linear'](X)  # 5 of 288
        FUNCTIONS['relu'](X)
    products = [call.multiply_adds for call in hook.calls if call.label != 'Reshape']
    assert products == [2 * 6 * 5 * 4 * 24, 2 * 6 * 9 * 9 * 12, 2 * 5 * 288, 0]


def test_views_take_no_memory():
    with tracing.ShapesOnly() as hook:
        F.relu(F.reshape(X, (2, -1))[:, :10])
    assert [call.nbytes for call in hook.calls] == [0, 0, 2 * 10 * 4]


def test_nothing_changes_outside_the_context():
    with tracing.ShapesOnly():
        F.relu(X)
    np.testing.assert_array_equal(F.relu(X).array, np.maximum(X, 0))


def test_the_expensive_functions_are_not_run(monkeypatch):
    def refuse(*args):
        raise AssertionError('really computed')

    for function in (Convolution2DFunction, Pooling2D):
        monkeypatch.setattr(function, 'forward_cpu', refuse)
    monkeypatch.setattr(np.linalg, 'svd', refuse)
    with initializers.unfilled():
        model = chainer.Sequential(Convolution2D(3, 8, 3), lambda x: F.max_pooling_2d(x, 2, 2))
    assert [call.shape for call in tracing.trace(model, (1, 3, 16, 16))] == [
        (1, 8, 14, 14),
        (1, 8, 7, 7),
    ]
