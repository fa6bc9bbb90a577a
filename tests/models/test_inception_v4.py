"""Inception-v4 has the paper's structure, block by block."""

import chainer
import numpy as np
import pytest

from chainer_zoo import initializers
from chainer_zoo.links import BatchNormalization
from chainer_zoo.links import Convolution2D
from chainer_zoo.models import inception_v4
from chainer_zoo.report.tracing import ShapesOnly

# pixels a side after stem, reductions A and B: the paper's figure 9, and ours for 32 pixels
SIZES = {299: (35, 17, 8), 32: (32, 15, 7)}


def build(**options):
    with initializers.unfilled():
        return inception_v4.InceptionV4(**options)


@pytest.mark.parametrize('size', [299, 32])
def test_parameters_at_1000_classes_are_the_published_ones(size):
    model = build(n_class=1000, size=size)
    sizes = [param.size for param in model.params()]
    # W of convolutions, BN's gamma and beta, W and b of the last layer: 42.68 M
    assert sum(sizes) == 42679816
    # the authors' own code has no gamma
    gammas = sum(param.size for param in model.params() if param.name == 'gamma')
    assert sum(sizes) - gammas == 42648232


def test_parameters_are_the_same_at_both_sizes():
    shapes = [
        {path: param.shape for path, param in build(size=size).namedparams()} for size in (299, 32)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize('size', [299, 32])
def test_shapes_block_by_block(size):
    model = build(size=size)
    a, b, c = SIZES[size]
    with ShapesOnly(), chainer.no_backprop_mode():
        h = model.stem(np.zeros((2, 3, size, size), np.float32))
        assert h.shape == (2, 384, a, a)
        for block in model.inception_a.sequence:
            h = block(h)
            assert h.shape == (2, 384, a, a)
        h = model.reduction_a(h)
        assert h.shape == (2, 1024, b, b)
        for block in model.inception_b.sequence:
            h = block(h)
            assert h.shape == (2, 1024, b, b)
        h = model.reduction_b(h)
        assert h.shape == (2, 1536, c, c)
        for block in model.inception_c.sequence:
            h = block(h)
            assert h.shape == (2, 1536, c, c)
    stages = model.inception_a, model.inception_b, model.inception_c
    assert [len(stage.sequence) for stage in stages] == [4, 7, 3]


def test_average_does_not_count_the_padding():
    x = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    y = inception_v4._average(chainer.Variable(x)).array[0, 0]
    expected = [
        [x[0, 0, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].mean() for j in range(4)]
        for i in range(3)
    ]
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    one = np.full((1, 1, 1, 1), 5, np.float32)
    np.testing.assert_allclose(inception_v4._average(chainer.Variable(one)).array, one)


# block, channels of the input, its paths in the order of their channels, and how many they give;
# 'x' is the maximum pooling of the input itself
BLOCKS = [
    (
        inception_v4.InceptionA,
        384,
        [('conv1x1', 96), ('conv3x3', 96), ('double3x3', 96), ('pool', 96)],
    ),
    (inception_v4.ReductionA, 384, [('conv3x3', 384), ('double3x3', 256), ('x', 384)]),
    (
        inception_v4.InceptionB,
        1024,
        [('conv1x1', 384), ('conv7x7', 256), ('double7x7', 256), ('pool', 128)],
    ),
    (inception_v4.ReductionB, 1024, [('conv3x3', 192), ('conv7x7', 320), ('x', 1024)]),
    (
        inception_v4.InceptionC,
        1536,
        [
            ('conv1x1', 256),
            ('conv3x3_wide', 256),
            ('conv3x3_high', 256),
            ('double3x3_wide', 256),
            ('double3x3_high', 256),
            ('pool', 256),
        ],
    ),
]


@pytest.mark.parametrize(
    'block,channels,paths', BLOCKS, ids=lambda value: getattr(value, '__name__', None)
)
def test_paths_are_concatenated_in_the_papers_order(block, channels, paths):
    with initializers.unfilled():
        model = block()
    for link in model.links():
        if isinstance(link, Convolution2D):
            link.W.array[...] = 1.0 / link.W.array[0].size  # averages, so ones stay ones
        elif isinstance(link, BatchNormalization):
            link.avg_var[...] = 1 - link.eps
    expected = []
    for number, (path, width) in enumerate(paths, 2):
        if path != 'x':
            model[path].sequence[-1].bn.gamma.array[...] = number
        expected += [1 if path == 'x' else number] * width
    with chainer.using_config('train', False):
        y = model(np.ones((1, channels, 15, 15), np.float32)).array
    middle = y.shape[2] // 2  # no zero of a padding reaches it
    np.testing.assert_allclose(y[0, :, middle, middle], expected, rtol=1e-4)


def test_dropout_drops_a_fifth_before_the_last_layer(monkeypatch):
    asked = []
    monkeypatch.setattr(
        inception_v4, 'dropout', lambda h, ratio: asked.append((h.shape, ratio)) or h
    )
    with ShapesOnly():
        build(size=32)(np.zeros((2, 3, 32, 32), np.float32))
    assert asked == [((2, 1536), 0.2)]
