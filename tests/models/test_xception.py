"""Xception has the paper's structure, block by block."""

import chainer
import numpy as np
import pytest

from chainer_zoo import initializers
from chainer_zoo.links import SeparableConvolution
from chainer_zoo.models import xception
from chainer_zoo.report.tracing import ShapesOnly

# channels and pixels a side after each part: the paper's figure 5, and ours for 32 pixels
SIZES = {
    'conv1': (32, 149, 32),
    'conv2': (64, 147, 32),
    'entry1': (128, 74, 32),
    'entry2': (256, 37, 32),
    'entry3': (728, 19, 16),
    'middle': (728, 19, 16),
    'exit': (1024, 10, 8),
    'conv3': (1536, 10, 8),
    'conv4': (2048, 10, 8),
}


def build(**options):
    with initializers.unfilled():
        return xception.Xception(**options)


@pytest.mark.parametrize('size', [299, 32])
def test_parameters_at_1000_classes_are_the_papers(size):
    # table 3 of the paper: W of convolutions, BN's gamma and beta, W and b of the last layer
    assert sum(param.size for param in build(n_class=1000, size=size).params()) == 22855952


def test_parameters_are_the_same_at_both_sizes():
    shapes = [
        {path: param.shape for path, param in build(size=size).namedparams()} for size in (299, 32)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize('size', [299, 32])
def test_shapes_block_by_block(size):
    model = build(size=size)
    h = np.zeros((2, 3, size, size), np.float32)
    with ShapesOnly(), chainer.no_backprop_mode():
        for part, (channels, large, small) in SIZES.items():
            h = model[part](h)
            pixels = large if size == 299 else small
            assert h.shape == (2, channels, pixels, pixels), part


def test_there_are_36_convolutions_in_14_modules():
    model = build()
    separable = [link for link in model.links() if isinstance(link, SeparableConvolution)]
    assert len(separable) + 2 == 36  # section 3 of the paper; shortcuts are not counted
    modules = [link for link in model.links() if isinstance(link, xception.Module)]
    assert len(modules) + 2 == 14  # the first two and the last two convolutions are one each
    assert sum(hasattr(module, 'shortcut') for module in modules) == 4


@pytest.mark.parametrize('stride,side', [(None, 6), (1, 6), (2, 3)])
def test_a_module_with_zero_branch_is_its_shortcut(stride, side):
    module = xception.Module(4, (5, 4), stride)
    module.last.bn.gamma.array[...] = 0
    if stride is not None:
        module.shortcut.W.array[...] = np.eye(4)[:, :, None, None]
        module.shortcut_bn.avg_var[...] = 1 - module.shortcut_bn.eps
    x = np.random.RandomState(0).uniform(-1, 1, (2, 4, 6, 6)).astype(np.float32)
    with chainer.using_config('train', False):
        y = module(x)
    assert y.shape == (2, 4, side, side)
    np.testing.assert_allclose(y.array, x[:, :, :: stride or 1, :: stride or 1], rtol=1e-5)


def test_the_first_relu_is_left_out_where_the_paper_has_none():
    x = np.random.RandomState(0).uniform(-1, 1, (2, 4, 6, 6)).astype(np.float32)
    module = xception.Module(4, (4, 4))
    for relu, as_if in ((True, np.maximum(x, 0)), (False, x)):
        module.first_relu = relu
        with chainer.using_config('train', True):
            branch = module.last(module.inner(as_if)).array
            np.testing.assert_allclose(module(x).array, branch + x, rtol=1e-5, atol=1e-6)
    assert [
        part.first_relu
        for part in (lambda m: (m.entry1, m.entry2, m.entry3, m.middle.sequence[0], m.exit))(
            build()
        )
    ] == [False, True, True, True, True]


def test_dropout_drops_half_before_the_last_layer(monkeypatch):
    asked = []
    monkeypatch.setattr(xception, 'dropout', lambda h, ratio: asked.append((h.shape, ratio)) or h)
    with ShapesOnly():
        build(size=32)(np.zeros((2, 3, 32, 32), np.float32))
    assert asked == [((2, 2048), 0.5)]
