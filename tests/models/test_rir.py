"""The streams of Resnet in Resnet."""

import chainer
import numpy as np

from chainer_zoo.models import rir

# Weight of each of the four convolutions: residual and transient in, to residual, to transient.
WEIGHTS = {'residual_conv1': 2, 'residual_conv2': 3, 'transient_conv1': 5, 'transient_conv2': 7}


def scale(layer):
    """Make every convolution a product with its number of WEIGHTS, and every BN idle at test."""
    for name, weight in WEIGHTS.items():
        conv = layer[name]
        conv.W.array[...] = 0
        for i in range(conv.W.shape[1]):
            conv.W.array[i, i, 1, 1] = weight
    for bn in (layer.residual_bn, layer.transient_bn):
        bn.avg_var[...] = 1 - bn.eps
    return layer


def at_test(link, residual, transient, side=2):
    x = [np.full((1, 1, side, side), value, np.float32) for value in (residual, transient)]
    with chainer.using_config('train', False):
        return [y.array for y in link(*x)]


def test_only_the_residual_stream_has_a_shortcut():
    residual, transient = at_test(scale(rir.GeneralizedLayer(1, 1)), 1.0, 10.0)
    np.testing.assert_allclose(residual, 2 * 1 + 5 * 10 + 1, rtol=1e-5)
    np.testing.assert_allclose(transient, 3 * 1 + 7 * 10, rtol=1e-5)


def test_a_block_adds_its_input_to_the_residual_stream_after_the_relu():
    block = rir.RiRBlock(1, 1)
    scale(block.resinit0)
    scale(block.resinit1)
    # First layer of (-1, 0): relu(-2 - 1) = 0 and relu(-3) = 0, so only the shortcut is left.
    residual, transient = at_test(block, -1.0, 0.0)
    np.testing.assert_allclose(residual, -1, rtol=1e-6)
    np.testing.assert_array_equal(transient, 0)


def test_the_second_layer_has_the_stride_and_zero_channels_are_appended():
    block = rir.RiRBlock(1, 2, stride=2)
    scale(block.resinit0)
    scale(block.resinit1)
    assert block.resinit0.residual_conv1.stride == (1, 1)
    assert block.resinit1.residual_conv1.stride == (2, 2)
    residual, transient = at_test(block, 1.0, 0.0, side=4)
    assert residual.shape == transient.shape == (1, 2, 2, 2)
    # (1, 0) becomes (3, 3), then 2 * 3 + 5 * 3 + 3 and 3 * 3 + 7 * 3; the block's shortcut adds 1
    np.testing.assert_allclose(residual[0, 0], 24 + 1, rtol=1e-5)
    np.testing.assert_allclose(transient[0, 0], 30, rtol=1e-5)
    np.testing.assert_array_equal(residual[0, 1], 0)


def test_the_streams_are_joined_and_averaged_after_the_classifier():
    model = rir.RiR(n_class=3, channel=4)
    shapes = [model[f'rir{i}'].resinit1.residual_conv1.W.shape[0] for i in range(1, 9)]
    assert shapes == [2, 2, 4, 4, 4, 8, 8, 8]
    assert model.conv2.conv.W.shape == (3, 16, 1, 1)
    x = np.random.RandomState(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    with chainer.using_config('train', True):
        y = model(x).array
    assert y.shape == (2, 3) and y.min() >= 0
