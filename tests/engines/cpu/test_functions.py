"""BN, activations, pooling, sums and concatenation give Chainer's numbers."""

import chainer
import chainer.functions as F
import engine_checks as engine
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from chainer_zoo import engines
from chainer_zoo.functions import residual_add

SHAPES = [
    (2, 3, 5, 7),
    (4, 16, 8, 8),
    (1, 24, 3, 3),
    (2, 1, 6, 6),
    (5, 8, 1, 1),
    (3, 148, 4, 4),
    (6, 5),
]


@pytest.mark.parametrize('how', engine.LAYOUTS)
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_batch_normalization_and_its_running_statistics(shape, how, loops):
    x = engine.layout(3 * engine.values(0, *shape) + 1, how)
    gamma, beta = engine.values(1, shape[1]), engine.values(2, shape[1])
    statistics = []

    def normalize(x, gamma, beta):
        mean, var = np.zeros(shape[1], np.float32), np.ones(shape[1], np.float32)
        statistics.append((mean, var))
        return F.batch_normalization(x, gamma, beta, running_mean=mean, running_var=var)

    engine.check(normalize, [x, gamma, beta], ('BatchNormalization',), 1e-3)
    for a, b in zip(*statistics):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('how', engine.LAYOUTS)
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_fixed_batch_normalization(shape, how):
    x = engine.layout(3 * engine.values(0, *shape), how)
    gamma, beta, mean = (engine.values(i, shape[1]) for i in (1, 2, 3))
    var = np.abs(engine.values(4, shape[1]))
    engine.check(
        lambda *v: F.fixed_batch_normalization(*v),
        [x, gamma, beta, mean, var],
        ('FixedBatchNormalization',),
        1e-3,
    )


def test_batch_normalization_over_other_axes_goes_to_chainer():
    engine.check(
        lambda x, g, b: F.batch_normalization(x, g, b, axis=(0,)),
        [engine.values(i, *s) for i, s in enumerate([(8, 3, 2, 2)] + 2 * [(3, 2, 2)])],
        tolerance=1e-3,
    )


@pytest.mark.parametrize('how', engine.LAYOUTS)
@pytest.mark.parametrize('shape', SHAPES + [(7,), (2, 3, 4)], ids=str)
def test_relu(shape, how):
    engine.check(F.relu, [engine.layout(engine.values(0, *shape), how)], ('ReLU', 'ReLUGrad2'), 0)


@pytest.mark.parametrize('how', engine.LAYOUTS)
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_prelu(shape, how):
    engine.check(
        F.prelu,
        [engine.layout(engine.values(0, *shape), how), engine.values(1, shape[1])],
        ('PReLUFunction', 'PReLUFunctionGrad'),
        1e-5,
    )


def test_the_gradient_of_prelu_at_zero_is_chainers():
    x = np.zeros((2, 3, 2, 2), np.float32)
    engine.check(F.prelu, [x, engine.values(0, 3)], ('PReLUFunctionGrad',), 0)


# x, ksize, stride, pad
POOLING = [
    ((2, 3, 8, 8), 2, 2, 0),
    ((2, 3, 7, 9), 2, 2, 0),
    ((2, 16, 9, 7), 3, 2, 1),
    ((1, 1, 1, 1), 1, 1, 0),
    ((2, 5, 6, 6), 6, 1, 0),
    ((2, 3, 7, 7), (3, 2), (2, 1), (1, 0)),
    ((2, 3, 5, 5), 1, 2, 0),
    ((2, 96, 13, 13), 3, 2, 1),
    ((2, 4, 6, 6), 2, 3, 1),
]


@pytest.mark.parametrize('how', engine.LAYOUTS)
@pytest.mark.parametrize('cover_all', [True, False])
@pytest.mark.parametrize('shape, ksize, stride, pad', POOLING, ids=str)
def test_max_pooling(shape, ksize, stride, pad, cover_all, how):
    engine.check(
        lambda x: F.max_pooling_2d(x, ksize, stride, pad, cover_all=cover_all),
        [engine.layout(engine.values(0, *shape), how)],
        ('MaxPoolingND', 'MaxPoolingNDGrad'),
        1e-6,
    )


@pytest.mark.parametrize('shape, ksize, stride, pad', POOLING, ids=str)
def test_max_pooling_without_a_gradient(shape, ksize, stride, pad):
    x = engine.values(0, *shape)
    with chainer.no_backprop_mode():
        expected = F.max_pooling_2d(x, ksize, stride, pad).array
        with engines.CPU.using(True):
            np.testing.assert_array_equal(F.max_pooling_2d(x, ksize, stride, pad).array, expected)


@pytest.mark.parametrize('how', engine.LAYOUTS)
@pytest.mark.parametrize('shape, ksize, stride, pad', POOLING, ids=str)
def test_average_pooling(shape, ksize, stride, pad, how):
    engine.check(
        lambda x: F.average_pooling_2d(x, ksize, stride, pad),
        [engine.layout(engine.values(0, *shape), how)],
        ('AveragePooling2D', 'AveragePooling2DGrad'),
        1e-5,
    )


def test_a_pooling_window_without_a_pixel_goes_to_chainer():
    x = engine.values(0, 2, 3, 5, 5)
    engine.check(lambda x: F.average_pooling_2d(x, 2, 2, 3), [x])
    engine.check(lambda x: F.max_pooling_2d(x, 2, 3, 1), [x])


def test_pooling_indices_are_chainers():
    x = engine.values(0, 2, 3, 6, 6)
    with engines.CPU.using(True):
        y, indices = F.max_pooling_2d(x, 2, return_indices=True)
    assert indices.shape == y.shape


@pytest.mark.parametrize('channels', [(3, 5), (16, 16), (1, 1, 1), (12, 4, 7, 2)], ids=str)
@pytest.mark.parametrize('how', engine.LAYOUTS)
def test_concat_and_its_gradient(channels, how):
    engine.check(
        lambda *xs: F.concat(xs),
        [engine.layout(engine.values(i, 2, c, 4, 3), how) for i, c in enumerate(channels)],
        ('Concat', 'SplitAxis'),
        0,
    )


@pytest.mark.parametrize('sections', [3, [2, 5], [0, 4], [4, 4]], ids=str)
def test_split_and_its_gradient(sections):
    engine.check(
        lambda x: F.split_axis(x, sections, 1), [engine.values(0, 2, 6, 3, 3)], ('SplitAxis',), 0
    )


@pytest.mark.parametrize('how', engine.LAYOUTS)
@pytest.mark.parametrize('other', engine.LAYOUTS)
@pytest.mark.parametrize('n', [2, 3, 4])
def test_sums_of_arrays_in_different_layouts(n, how, other):
    xs = [engine.layout(engine.values(i, 4, 16, 17, 16), how if i else other) for i in range(n)]
    engine.check(lambda *xs: F.add(*xs), xs, ('Add' if n == 2 else 'MultiAdd',), 1e-6)


@pytest.mark.parametrize(
    'h, x, stride',
    [
        ((2, 40, 16, 16), (2, 40, 16, 16), 1),
        ((2, 6, 4, 4), (2, 3, 8, 8), 2),
        ((2, 6, 4, 4), (2, 3, 7, 7), 2),
        ((2, 3, 4, 4), (2, 5, 4, 4), 1),
    ],
    ids=str,
)
@pytest.mark.parametrize('how', engine.LAYOUTS)
def test_residual_add(h, x, stride, how):
    engine.check(
        lambda h, x: residual_add(h, x, stride),
        [engine.layout(engine.values(0, *h), how), engine.values(1, *x)],
        (),
        1e-6,
    )


@given(
    batch=st.integers(1, 4),
    channels=st.integers(1, 40),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    how=st.sampled_from(engine.LAYOUTS),
)
@settings(max_examples=40, deadline=None)
def test_batch_normalization_of_any_shape(batch, channels, size, how):
    if batch * size[0] * size[1] < 4:
        return  # the variance of two or three numbers amplifies rounding
    x = engine.layout(engine.values(0, batch, channels, *size), how)
    engine.check(
        lambda *v: F.batch_normalization(*v),
        [x, engine.values(1, channels), engine.values(2, channels)],
        ('BatchNormalization',),
        5e-3,
    )


DOUBLE = [
    (
        'convolution',
        lambda x, w: F.convolution_2d(x, w, np.ones(4, x.dtype), pad=1),
        [(2, 3, 5, 5), (4, 3, 3, 3)],
    ),
    ('relu', lambda x, w: F.relu(x) * w, [(2, 3, 4, 4), (2, 3, 4, 4)]),
    ('max pooling', lambda x, w: F.max_pooling_2d(x, 3, 2, 1) * w, [(2, 3, 8, 7), (2, 3, 5, 4)]),
    (
        'average pooling',
        lambda x, w: F.average_pooling_2d(x, 3, 2, 1) * w,
        [(2, 3, 7, 7), (2, 3, 4, 4)],
    ),
    (
        'batch normalization',
        lambda x, w: F.batch_normalization(x, np.ones(3, x.dtype), np.zeros(3, x.dtype)) * w,
        [(4, 3, 5, 5), (4, 3, 5, 5)],
    ),
    ('linear', lambda x, w: F.linear(x, w), [(3, 4), (5, 4)]),
    ('concat', lambda x, w: F.concat((x, w, x)), [(2, 3, 4, 4), (2, 5, 4, 4)]),
    ('prelu', lambda x, w: F.prelu(x, w), [(2, 3, 4, 4), (3,)]),
]


@pytest.mark.parametrize('name, function, shapes', DOUBLE, ids=[case[0] for case in DOUBLE])
def test_double_backward(name, function, shapes):
    def second_order(*inputs):
        y = function(*inputs)
        grads = chainer.grad([y * y], inputs, enable_double_backprop=True)
        return sum(F.sum(g * g) for g in grads if g is not None)

    engine.check(second_order, [engine.values(i, *s) for i, s in enumerate(shapes)], (), 2e-3)
