"""The PReLU network's blocks, with weights that can be followed by hand."""

import chainer
import numpy as np

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo.models import prelu_net


def test_each_channel_has_a_slope_of_its_own_that_starts_at_a_quarter():
    block = prelu_net.ConvPReLU(2, 2)
    block.conv.W.array[...] = 0
    block.conv.W.array[[0, 1], [0, 1], 1, 1] = 1
    x = np.full((1, 2, 3, 3), -4, np.float32)
    np.testing.assert_array_equal(block(x).array, np.full((1, 2, 3, 3), -1))
    block.conv_prelu.W.array[1] = 0.5
    np.testing.assert_array_equal(block(x).array[0, :, 1, 1], [-1, -2])
    np.testing.assert_array_equal(block(-x).array, -x)


def passing_through(size):
    with initializers.unfilled():
        block = prelu_net.LinearPReLU3(size, (size, size, size))
    for i in (0, 1, 2):
        block[f'fc{i}'].W.array[...] = np.eye(size)
    return block


def test_three_linear_layers_end_in_prelu():
    x = np.array([[8, -64]], np.float32)
    with chainer.using_config('train', False):
        np.testing.assert_array_equal(passing_through(2)(x).array, [[8, -1]])


def test_dropout_acts_before_each_of_three_layers_in_training_only():
    block = passing_through(4000)
    x = np.ones((1, 4000), np.float32)
    with chainer.using_config('train', False):
        np.testing.assert_array_equal(block(x).array, x)
    with chainer.using_config('train', True):
        with chainer_zoo.no_noise():
            np.testing.assert_array_equal(block(x).array, x)
        y = block(x).array
    # what survives three times half is doubled three times; 1/8 of 4000 is 500, deviation 21
    assert set(np.unique(y)) == {0, 8}
    assert abs((y == 8).sum() - 500) < 5 * 21


def test_test_mode_gives_the_same_answer_twice():
    with initializers.unfilled():
        model = prelu_net.PReLUNet()
    for param in model.params():
        param.array[...] = 0.01
    x = np.ones((1, 3, 32, 32), np.float32)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        first = model(x).array
        np.testing.assert_array_equal(first, model(x).array)
    assert np.isfinite(first).all() and (first != 0).all()
