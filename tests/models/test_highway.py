"""The highway layer's gate."""

import chainer
import numpy as np
import pytest

from chainer_zoo.models import highway


def at_test(layer, x):
    with chainer.using_config('train', False):
        return layer(x).array


def layer_with(gate, transform, in_channels=1, out_channels=2):
    """A layer whose H is ``transform`` everywhere, and whose gate is sigmoid(``gate``)."""
    layer = highway.HighwayLayer(in_channels, out_channels)
    for conv, bias in ((layer.conv.conv, transform), (layer.conv_highway_1x1_2.conv, gate)):
        conv.W.array[...] = 0
        conv.b.array[...] = bias
    return layer


@pytest.mark.parametrize(
    'gate, open_', [(-100.0, 0.0), (0.0, 0.5), (100.0, 1.0), (np.log(3.0), 0.75)]
)
def test_the_gate_mixes_transform_and_carried_input(gate, open_):
    x = np.full((1, 1, 3, 3), 4, np.float32)
    y = at_test(layer_with(gate, 12), x)
    np.testing.assert_allclose(y[0, 0], 12 * open_ + 4 * (1 - open_), rtol=1e-5)
    np.testing.assert_allclose(y[0, 1], 12 * open_, rtol=1e-5)  # carries a channel of zeros


def test_the_gate_looks_at_the_padded_input_through_three_convolutions():
    layer = highway.HighwayLayer(1, 1)
    for link in (layer.conv_highway_3x3, layer.conv_highway_1x1_1, layer.conv_highway_1x1_2):
        link.bn.avg_var[...] = 1 - link.bn.eps
        link.conv.W.array[...] = 0
        link.conv.W.array[0, 0, -1, -1] = 1  # of the 3x3: the pixel below to the right
    layer.conv.conv.W.array[...] = 0
    x = np.array([[1.0, 2.0], [3.0, -4.0]], np.float32).reshape(1, 1, 2, 2)
    # The pixel below to the right is -4, which ReLU makes 0, or outside: the gate is sigmoid(0).
    np.testing.assert_allclose(at_test(layer, x), x / 2, rtol=1e-5)
    x[0, 0, 1, 1] = np.log(4)
    gate = np.array([[0.8, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(at_test(layer, x), x * (1 - gate), rtol=1e-5)


def test_a_new_gate_is_one_half_where_its_input_is_zero():
    np.testing.assert_array_equal(
        at_test(layer_with(0, 6, 2, 2), np.zeros((1, 2, 2, 2), np.float32)), 3
    )


def test_stages_halve_the_image_between_them(monkeypatch):
    model = highway.Highway(n_class=4)
    sides = []
    for i, count in ((1, 5), (2, 6), (3, 6)):
        layer = model[f'conv{i}_{count}']
        width = layer.out_channels

        def last(x, width=width):
            sides.append(x.shape[2:])
            return chainer.Variable(np.zeros(x.shape[:1] + (width,) + x.shape[2:], np.float32))

        monkeypatch.setattr(model, f'conv{i}_{count}', last)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        model(np.zeros((1, 3, 32, 32), np.float32))
    assert sides == [(32, 32), (16, 16), (8, 8)]
