"""Shortcuts and residual adds: what padding, stride, scale and offset mean, and every gradient."""

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer import gradient_check

from chainer_zoo.errors import UserError
from chainer_zoo.functions import residual_add
from chainer_zoo.functions import shortcut

# B, C_h, C_x, H, W of the result, stride, scale, offset, the size that stride leaves over
CASES = [
    (2, 3, 3, 4, 5, 1, 1.0, 0, 0),  # the plain residual add
    (2, 5, 3, 4, 5, 2, 1.0, 0, 0),  # new channels, even size
    (2, 5, 3, 4, 5, 2, 1.0, 0, 1),  # new channels, odd size
    (2, 3, 5, 4, 5, 1, 0.75, 0, 0),  # the branch is the narrower one
    (2, 5, 3, 2, 3, 3, 0.5, 0, 2),  # stride 3
    (2, 2, 3, 4, 5, 2, 1.0, 3, 0),  # the branch holds only the added channels
    (2, 2, 3, 4, 5, 1, 0.5, 5, 0),  # a gap between shortcut and branch
    (2, 2, 6, 4, 5, 1, 0.5, 1, 0),  # the branch inside the shortcut
    (0, 5, 3, 4, 5, 2, 1.0, 0, 0),  # no image
]


def arrays(case, dtype, seed=0):
    batch, channels_h, channels_x, height, width, stride, _, _, over = case
    rng = np.random.RandomState(seed)
    h = rng.uniform(-1, 1, (batch, channels_h, height, width)).astype(dtype)
    size = height * stride - over, width * stride - over
    x = rng.uniform(-1, 1, (batch, channels_x) + size).astype(dtype)
    return h, x


def by_hand(h, x, stride, scale, offset):
    """Sum the padded branch and the padded shortcut, in float64."""
    channels = max(h.shape[1] + offset, x.shape[1])
    y = np.zeros((h.shape[0], channels) + h.shape[2:])
    y[:, : x.shape[1]] += x[:, :, ::stride, ::stride]
    y[:, offset : offset + h.shape[1]] += scale * h.astype(np.float64)
    return y


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64'])
@pytest.mark.parametrize('case', CASES)
def test_residual_add_is_branch_plus_padded_shortcut(case, dtype):
    h, x = arrays(case, dtype)
    y = residual_add(h, x, *case[5:8])
    assert y.dtype == dtype
    expected = by_hand(h, x, *case[5:8])
    np.testing.assert_allclose(y.array, expected, rtol=0, atol=np.finfo(dtype).eps)


@pytest.mark.parametrize('scale', [1.0, 0.3])
def test_float16_is_rounded_once(scale):
    rng = np.random.RandomState(0)
    h, x = (rng.uniform(-1, 1, (4, 8, 8, 8)).astype('e') for _ in range(2))
    y = residual_add(h, x, scale=scale)
    once = (h.astype('f') * np.float32(scale) + x.astype('f')).astype('e')
    np.testing.assert_array_equal(y.array, once)


@pytest.mark.parametrize('case', CASES[:-1])
def test_residual_add_gradients(case):
    h, x = arrays(case, 'd')
    stride, scale, offset = case[5:8]

    def f(h, x):
        return residual_add(h, x, stride, scale, offset)

    (gy,) = arrays((case[0], f(h, x).shape[1], 1) + case[3:], 'd', 1)[:1]
    gradient_check.check_backward(f, (h, x), gy, atol=1e-7, rtol=1e-7, dtype='d')
    ggh, ggx = arrays(case, 'd', 2)
    gradient_check.check_double_backward(
        lambda h, x: f(h, x) ** 2, (h, x), gy, (ggh, ggx), atol=1e-6, rtol=1e-6, dtype='d'
    )


def test_double_backward_of_the_linear_functions_themselves():
    """The second gradient flows back through the gradient to gy, without a nonlinearity's help."""
    h, x = (chainer.Variable(a) for a in arrays(CASES[2], 'd'))
    gy = chainer.Variable(np.random.RandomState(3).standard_normal((2, 5, 4, 5)))
    y = residual_add(h, x, 2, 0.5, 0)
    gh, gx = chainer.grad([y], [h, x], [gy], enable_double_backprop=True)
    ggh, ggx = (np.random.RandomState(4).standard_normal(v.shape) for v in (h, x))
    (ggy,) = chainer.grad([gh, gx], [gy], [chainer.Variable(ggh), chainer.Variable(ggx)])
    np.testing.assert_allclose(ggy.array, by_hand(ggh, ggx, 2, 0.5, 0), atol=1e-15)


@pytest.mark.parametrize('stride', [1, 2, 3])
@pytest.mark.parametrize('channels', [2, 3, 6])
def test_shortcut_takes_pixels_and_appends_zeros(stride, channels):
    x = np.random.RandomState(0).standard_normal((2, 3, 7, 8)).astype('f')
    y = shortcut(x, channels, stride)
    np.testing.assert_array_equal(y.array[:, :3], x[:, :, ::stride, ::stride])
    assert y.shape[1] == max(3, channels) and not y.array[:, 3:].any()
    gradient_check.check_backward(
        lambda x: shortcut(x, channels, stride),
        x,
        np.ones_like(y.array),
        atol=1e-7,
        rtol=1e-7,
        dtype='d',
    )


@pytest.mark.parametrize('size', [7, 8])
def test_shortcut_is_the_original_average_pooling(size):
    x = np.random.RandomState(0).standard_normal((2, 3, size, size)).astype('f')
    pooled = F.average_pooling_2d(x, 1, 2, 0)
    np.testing.assert_array_equal(shortcut(x, 3, 2).array, pooled.array)


@pytest.mark.parametrize('case', CASES[:-1])
def test_channels_last_memory_stays_channels_last(case):
    h, x = arrays(case, 'f')
    y = residual_add(channels_last(h), channels_last(x), *case[5:8])
    assert y.array.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(y.array, residual_add(h, x, *case[5:8]).array)
    skip = shortcut(channels_last(x), x.shape[1] + 2, case[5])
    assert skip.array.transpose(0, 2, 3, 1).flags.c_contiguous


def test_gradients_are_views_where_nothing_is_computed():
    h, x = (chainer.Variable(a) for a in arrays((2, 5, 3, 4, 4, 1, 1.0, 0, 0), 'f'))
    y = residual_add(h, x)
    y.grad = np.ones_like(y.array)
    y.backward(retain_grad=True)
    assert np.shares_memory(x.grad, y.grad) and np.shares_memory(h.grad, y.grad)


def test_nothing_is_kept_for_backward():
    h, x = (chainer.Variable(a) for a in arrays(CASES[1], 'f'))
    y = residual_add(h, x, 2)
    assert [node.data for node in y.creator.inputs] == [None, None] and y.node.data is None


def test_wrong_arguments_say_so():
    h, x = arrays(CASES[0], 'f')
    with pytest.raises(UserError, match='stride is 0'):
        residual_add(h, x, 0)
    with pytest.raises(UserError, match='stride is 0.5'):
        shortcut(x, 3, 0.5)
    with pytest.raises(UserError, match='offset is -1'):
        residual_add(h, x, offset=-1)
    with pytest.raises(chainer.utils.type_check.InvalidType):
        residual_add(h, x, 2)
    with pytest.raises(chainer.utils.type_check.InvalidType):
        residual_add(h, x.astype('d'))
