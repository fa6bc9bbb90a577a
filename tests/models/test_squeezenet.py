"""SqueezeNet's fire module and bypasses, with weights that can be followed by hand."""

import chainer
import numpy as np

from chainer_zoo.links import BatchNormalization
from chainer_zoo.models import squeezenet


def quiet(model):
    """Make every BN do nothing at test."""
    for link in model.links():
        if isinstance(link, BatchNormalization):
            link.avg_var[...] = 1 - link.eps
    return model


def at_test(model, x):
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        return model(x).array


def test_a_fire_module_expands_1x1_before_3x3():
    fire = quiet(squeezenet.Fire(2, 3, 4))
    for conv in (
        fire.bn_relu_conv_s_1x1.conv,
        fire.bn_relu_conv_e_1x1.conv,
        fire.bn_relu_conv_e_3x3.conv,
    ):
        conv.W.array[...] = 1
    # 2 channels of 1 squeezed: 2; 3 channels of 2: 6 by 1x1; by 3x3 nine times, four at a corner
    y = at_test(fire, np.ones((1, 2, 3, 3), np.float32))[0]
    assert y.shape == (8, 3, 3)
    np.testing.assert_array_equal(y[:4], 6)
    np.testing.assert_array_equal(y[4:, 1, 1], 54)
    np.testing.assert_array_equal(y[4:, 0, 0], 24)


def test_odd_fire_modules_are_bypassed_even_ones_are_not(monkeypatch):
    model = quiet(squeezenet.SqueezeNet(1))
    channels = dict(zip(range(2, 10), (128, 128, 256, 256, 384, 384, 512, 512)))
    given = {}

    def stand_in(number):
        def fire(x):
            given[number] = x.array
            return chainer.Variable(
                np.full((1, channels[number]) + x.shape[2:], number, np.float32)
            )

        return fire

    for number in channels:
        monkeypatch.setattr(model, f'fire{number}', stand_in(number))
    model.bn_relu_conv10.conv.W.array[...] = 1.0 / 512
    y = at_test(model, np.zeros((1, 3, 128, 128), np.float32))

    # each module is given what the one before gives, and that one's input if it is odd
    assert [given[number].max() for number in range(3, 10)] == [2, 3 + 2, 4, 5 + 4, 6, 7 + 6, 8]
    np.testing.assert_allclose(y, [[9 + 8]], rtol=1e-6)
    assert [given[number].shape[2] for number in range(2, 10)] == [32, 32, 32, 17, 17, 17, 17, 9]
