"""The network of appendix A: how unequal maps are joined, and both readings of its connections."""

import chainer
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo import parameters
from chainer_zoo.models import nas
from chainer_zoo.report import golden


def test_smaller_maps_get_zeros_at_the_bottom_and_the_right():
    tall, wide = np.ones((1, 1, 3, 1), np.float32), np.full((1, 2, 1, 2), 5, np.float32)
    y = nas.concat_padded([chainer.Variable(tall), chainer.Variable(wide)]).array
    assert y.shape == (1, 3, 3, 2)
    np.testing.assert_array_equal(y[0, 0], [[1, 0], [1, 0], [1, 0]])
    for channel in (1, 2):
        np.testing.assert_array_equal(y[0, channel], [[5, 5], [0, 0], [0, 0]])


def test_a_layer_normalizes_after_its_relu():
    layer = nas.ConvReLUBN(2, 1, 1)
    layer.conv.W.array[...] = 1
    layer.bn.avg_var[...] = 1 - layer.bn.eps
    layer.bn.beta.array[...] = -7
    with chainer.using_config('train', False):
        y = layer(np.array([1, 2, -3, -4], np.float32).reshape(2, 2, 1, 1)).array
    np.testing.assert_allclose(y.ravel(), [3 - 7, 0 - 7], rtol=1e-5)


def shapes_of_layers(variant):
    """Return (channels taken, shape given) of each layer for an image of 32 x 32."""
    with initializers.unfilled():
        model = chainer_zoo.build('nas', variant=variant)
    seen = []
    for i in range(15):
        layer = model[f'conv{i}']

        def forward(x, layer=layer, forward=layer.forward):
            y = forward(x)
            seen.append((x.shape[1], y.shape[1:]))
            return y

        layer.forward = forward
    golden.fill_model(model)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        assert model(golden.batch(0, 1, 32)[0]).shape == (1, 10)
    return seen


def test_the_originals_maps_shrink_and_miss_one_connection():
    seen = shapes_of_layers('original')
    assert [channels for channels, _ in seen] == [
        3,
        36,
        84,
        120,
        72,
        168,
        216,
        132,
        168,
        324,
        336,
        240,
        360,
        180,
        228,
    ]
    assert seen[0][1] == (36, 30, 30)
    # The last layer's largest inputs: layer 10, 26 x 24 = 30 x 30 without 4 and 6, and layer 12,
    # 24 x 26 = 30 x 30 without 6 and 4. So it takes 26 x 26 and leaves out 6 and 4.
    assert seen[-1][1] == (48, 20, 22)


def test_the_papers_maps_keep_their_size_and_no_connection_is_missing():
    seen = shapes_of_layers('paper')
    assert [channels for channels, _ in seen] == [
        3,
        36,
        84,
        120,
        72,
        168,
        216,
        132,
        168,
        324,
        336,
        240,
        360,
        180,
        276,
    ]
    assert {shape[1:] for _, shape in seen} == {(32, 32)}


@pytest.mark.parametrize('variant, weights', [('original', 4119708), ('paper', 4200348)])
def test_weights(variant, weights):
    with initializers.unfilled():
        assert parameters.count_weights(chainer_zoo.build('nas', variant=variant)) == weights


def test_another_variant_is_refused_by_naming_those_that_exist():
    wanted = "'original' or 'paper' or 'article', not 'mine'"
    with pytest.raises(chainer_zoo.errors.UserError, match=wanted):
        chainer_zoo.build('nas', variant='mine')
