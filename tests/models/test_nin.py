"""Network In Network and its form with BN, held against values worked out by hand."""

import chainer
import numpy as np
import pytest

from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import Convolution2D
from chainer_zoo.models import nin


def passing_through(model):
    """Make every convolution hand on channel 0 as it is, and every BN do nothing at test."""
    for link in model.links():
        if isinstance(link, Convolution2D):
            link.W.array[...] = 0
            middle = link.W.shape[2] // 2
            link.W.array[0, 0, middle, middle] = 1
        elif isinstance(link, BatchNormalization):
            link.avg_var[...] = 1 - link.eps
    return model


def logit(model, image):
    """Return the first logit of an image (32, 32) in channel 0, at test."""
    x = np.zeros((1, 3, 32, 32), np.float32)
    x[0, 0] = image
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        return float(model(x).array[0, 0])


@pytest.mark.parametrize('network', [nin.NIN, nin.NINBN])
@pytest.mark.parametrize(
    'pixel, windows',
    [
        # maximum i of 16 covers pixels 2 i to 2 i + 2, average i of 7 maxima 2 i to 2 i + 2
        ((31, 31), 0),  # maximum 15, which no average covers
        ((29, 29), 1),  # maximum 14, the last of average 6
        ((3, 3), 1),  # maximum 1, average 0
        ((5, 5), 4),  # maximum 2, averages 0 and 1, on each axis
    ],
)
def test_pools_have_the_kernels_and_strides_of_the_original(network, pixel, windows):
    image = np.zeros((32, 32))
    image[pixel] = 1
    expected = windows / 9.0 / 49
    assert logit(passing_through(network()), image) == pytest.approx(expected, abs=1e-7)


def test_only_without_bn_logits_are_at_least_0():
    for network, expected in ((nin.NIN, 0), (nin.NINBN, -2)):
        model = passing_through(network())
        model.mlpconv3.conv3.b.array[...] = -2
        assert logit(model, np.zeros((32, 32))) == expected


def test_with_bn_dark_pixels_are_cut_off_first():
    darker, brighter = passing_through(nin.NINBN()), passing_through(nin.NINBN())
    darker.mlpconv1.conv1.W.array[...] *= -1  # a negative pixel would come out positive
    brighter.mlpconv1.bn1.beta.array[...] = 3
    assert logit(darker, np.full((32, 32), -1)) == 0
    assert logit(brighter, np.full((32, 32), -1)) == pytest.approx(2)


@pytest.mark.parametrize('network', [nin.NIN, nin.NINBN])
def test_half_of_each_pooled_map_is_dropped_in_training(network, monkeypatch):
    asked = []
    monkeypatch.setattr(nin, 'dropout', lambda h, ratio: asked.append((h.shape, ratio)) or h)
    logit(network(), np.zeros((32, 32)))
    assert asked == [((1, 96, 16, 16), 0.5), ((1, 192, 7, 7), 0.5)]
