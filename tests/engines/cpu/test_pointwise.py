"""1x1 convolutions in pieces are Chainer's, whatever comes before and after them."""

import chainer.functions as F
import engine_checks as engine
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from chainer_zoo.engines.geometry import Geometry

pytest.importorskip('numba')

SHAPES = [  # B, C, H, W, O
    (1, 1, 1, 1, 1),
    (2, 3, 5, 4, 7),
    (3, 17, 8, 8, 5),
    (1, 64, 20, 20, 16),
    (2, 8, 1, 9, 32),
]


@pytest.fixture
def pointwise():
    from chainer_zoo.engines.cpu.convolution import pointwise

    return pointwise


def arrays(b, c, h, w, o):
    """Return x, weights, bias, scale, shift, and an array like the result."""
    rng = np.random.RandomState(0)
    shapes = (b, c, h, w), (o, c, 1, 1), (o,), (c,), (c,), (b, o, h, w)
    x, *rest, added = [rng.standard_normal(shape).astype('f') for shape in shapes]
    return (engine.layout(x, 'channels last'), *rest, engine.layout(added, 'channels last'))


def expected(x, W, b=None, affine=None):
    """Return Chainer's result in float64."""
    x, W = x.astype('d'), W.astype('d')
    if affine:
        x = np.maximum(affine[0][:, None, None] * x + affine[1][:, None, None], 0)
    return F.convolution_2d(x, W, None if b is None else b.astype('d')).array


def geometry(x, W):
    return Geometry(x.shape, W.shape, (len(x), len(W)) + x.shape[2:])


def close(found, wanted):
    assert found.dtype == np.float32 and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-6 * max(1, abs(wanted).max()))


@pytest.mark.parametrize('pixels', [1, 3, 64])
@pytest.mark.parametrize('shape', SHAPES)
def test_it_is_chainers_convolution(shape, pixels, pointwise, monkeypatch):
    monkeypatch.setattr(pointwise, '_FLOATS', 1)
    monkeypatch.setattr(pointwise, '_LEAST_PIXELS', pixels)
    x, W, b, scale, shift, _ = arrays(*shape)
    close(pointwise.forward(x, W, b, geometry(x, W)), expected(x, W, b))
    close(pointwise.forward(x, W, None, geometry(x, W)), expected(x, W))
    close(
        pointwise.forward(x, W, b, geometry(x, W), affine=(scale, shift)),
        expected(x, W, b, (scale, shift)),
    )


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(1, 40),
    st.booleans(),
)
def test_any_shape_is_chainers(b, c, h, w, o, normalized):
    from chainer_zoo.engines.cpu.convolution import pointwise

    x, W, bias, scale, shift, _ = arrays(b, c, h, w, o)
    affine = (scale, shift) if normalized else None
    close(
        pointwise.forward(x, W, bias, geometry(x, W), affine=affine), expected(x, W, bias, affine)
    )


@pytest.mark.parametrize('with_bias', [True, False])
@pytest.mark.parametrize(
    'kinds', [(), ('ReLU',), ('x',), ('ReLU', 'x'), ('x', 'ReLU'), ('ReLU', 'x', 'ReLU')], ids=str
)
def test_what_follows_is_done_before_the_next_pixels(kinds, with_bias, pointwise):
    from chainer_zoo.engines.cpu import primitive

    x, W, b, _, _, added = arrays(2, 6, 7, 6, 4)
    b = b if with_bias else None
    y = expected(x, W, b)
    for kind in kinds:
        y = np.maximum(y, 0) if kind == 'ReLU' else y + added
    epilogue = [primitive.RELU if kind == 'ReLU' else added for kind in kinds]
    close(pointwise.forward(x, W, b, geometry(x, W), epilogue), y)


@pytest.mark.parametrize(
    'changes, can',
    [
        (dict(), True),
        (dict(stride=(2, 2), y_shape=(2, 5, 4, 4)), False),
        (dict(pad=(1, 1), y_shape=(2, 5, 10, 10)), False),
        (dict(groups=3, w_shape=(6, 1, 1, 1)), False),
        (dict(w_shape=(5, 3, 1, 3)), False),
    ],
)
def test_it_computes_one_pixel_from_one_pixel(changes, can, pointwise):
    plain = Geometry((2, 3, 8, 8), (5, 3, 1, 1), (2, 5, 8, 8))
    assert pointwise.can_compute(plain._replace(**changes)) == can
