"""Mean and variance of a batch are float64's, to float32's last digits, however many its pixels."""

import engine_checks as engine
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from chainer_zoo.engines.cpu import normalization
from chainer_zoo.engines.cpu import openmp


@pytest.fixture(autouse=True)
def compiled():
    if not openmp.can_run():
        pytest.skip('Numba does not compile the loops')


def take(x):
    """Return mean and variance of ``x``, which is laid out channels last."""
    return normalization.moments(engine.layout(x.astype(np.float32), 'channels last'))


def check(x):
    """Hold both against float64."""
    mean, var = take(x)
    x = x.astype(np.float32).astype(np.float64)
    wanted, wanted_var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    assert mean.dtype == var.dtype == np.float32
    assert (abs(mean - wanted) <= 1e-7 * (np.sqrt(wanted_var) + abs(wanted))).all()
    assert (abs(var - wanted_var) <= 6e-7 * wanted_var).all()


def normal(*shape):
    return np.random.RandomState(0).standard_normal(shape)


@pytest.mark.parametrize('count', [1, 2, 3, 7])
@pytest.mark.parametrize(
    'shape',
    [
        (1, 1, 1, 2),
        (1, 1, 1, 1),
        (2, 3, 5, 7),
        (3, 16, 8, 8),
        (1, 64, 9, 9),
        (2, 600, 2, 3),
        (4, 148, 5, 5),
        (1, 5, 1, 6),
    ],
    ids=str,
)
def test_any_number_of_threads_takes_them(shape, count, threads, unfilled):
    threads(count)
    check(normal(*shape))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 70), st.integers(1, 30), st.integers(1, 30), st.floats(-3, 3)
)
def test_any_shape(b, c, h, w, mean):
    check(normal(b, c, h, w) + mean)


def test_a_quarter_of_a_million_pixels_cost_no_digit():
    """Added up one by one in float32 they cost two: variances are off by 1e-5 and more."""
    x = np.maximum(normal(4, 16, 256, 256), 0) + 1
    check(x)
    one_by_one = np.cumsum(x[:, 0].astype('f').ravel() ** 2, dtype=np.float32)[-1]
    assert abs(one_by_one / np.square(x[:, 0]).sum() - 1) > 2e-6


def test_a_mean_far_from_zero_costs_no_digit():
    check(1000 + normal(2, 3, 50, 50))


def test_pixels_that_are_like_no_other_cost_no_digit(threads):
    """The guess that deviations are taken from is made of some pixels; here of the strangest."""
    threads(1)
    x = normal(2, 3, 64, 64)
    pixels = x.transpose(0, 2, 3, 1).reshape(-1, 3).copy()
    pixels[np.arange(32) * len(pixels) // 32, 1] += 1e4 * np.resize([1, 1, 1, -1], 32)
    check(pixels.reshape(2, 64, 64, 3).transpose(0, 3, 1, 2))
    pixels[:, 1] = 0
    pixels[0, 1] = 1e6  # one of those 32, and far from all others
    check(pixels.reshape(2, 64, 64, 3).transpose(0, 3, 1, 2))


def test_a_constant_has_no_variance():
    mean, var = take(np.full((2, 3, 40, 40), 0.1))
    np.testing.assert_array_equal(mean, np.float32(0.1))
    np.testing.assert_array_equal(var, 0)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_no_number_spoils_other_channels(value):
    x = normal(2, 3, 9, 9)
    clean = take(x)
    x[1, 1, 4, 4] = value
    for found, wanted in zip(take(x), clean):
        assert not np.isfinite(found[1])
        np.testing.assert_array_equal(found[[0, 2]], wanted[[0, 2]])
