"""DenseNet: what each layer sees, and how channels grow."""

import numpy as np
import pytest
from analysable import at_test
from analysable import make_quiet

from chainer_zoo import initializers
from chainer_zoo.models import densenet


def test_each_layer_sees_all_maps_before_it():
    block = make_quiet(densenet.DenseBlock(1, 3, 1))
    for i in (1, 2, 3):
        conv = block[f'bn_relu_conv{i}'].conv
        conv.W.array[...] = 0
        conv.W.array[0, :, 1, 1] = [1, 10, 100][:i]
    x = np.array([[[[1, -1], [2, 3]]]], np.float32)
    y = at_test(block, x)
    # 1; 1 + 10; 1 + 10 + 1100: input and earlier layers first, each ReLU of what it was
    positive = np.maximum(x[0, 0], 0)
    np.testing.assert_allclose(y[0], [x[0, 0], positive, 11 * positive, 1111 * positive], rtol=1e-4)


def test_transition_averages_after_its_convolution():
    transition = make_quiet(densenet.Transition(1, 1))
    transition.bn_relu_conv.conv.W.array[...] = 2
    x = np.array([[[[1, -1, 4, 4], [2, 3, 4, 4]]]], np.float32)
    np.testing.assert_allclose(at_test(transition, x), [[[[2 * 6 / 4.0, 8]]]], rtol=1e-4)


@pytest.mark.parametrize(
    'depth, growth_rate, channels',
    [
        (40, 12, [160, 304, 448]),  # 12 layers a block
        (100, 24, [784, 1552, 2320]),  # 32 layers a block: the paper's largest
        (7, 1, [17, 18, 19]),
    ],
)
def test_channels_after_each_dense_block(depth, growth_rate, channels):
    with initializers.unfilled():
        model = densenet.DenseNet(depth=depth, growth_rate=growth_rate)
    h = model.conv1(np.zeros((1, 3, 4, 4), np.float32))
    shapes = []
    for block, transition in (
        (model.dense1, model.trans1),
        (model.dense2, model.trans2),
        (model.dense3, None),
    ):
        h = block(h)
        shapes.append(h.shape)
        h = transition(h) if transition else h
    assert shapes == [(1, c, s, s) for c, s in zip(channels, (4, 2, 1))]
    assert model.fc1.W.shape == (10, channels[-1])
