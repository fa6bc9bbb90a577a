"""Batch normalization as the article writes it out, in its equations 4.1 to 4.5."""

import chainer
import numpy as np
import pytest

from chainer_zoo import links

EPS, DECAY = 2e-5, 0.9


@pytest.fixture(params=[(5, 3, 4, 6), (7, 3)], ids=['convolution', 'linear'])
def x(request):
    return np.random.RandomState(0).standard_normal(request.param) * 3 + 1


@pytest.fixture
def bn():
    link = links.BatchNormalization(3)
    link.gamma.array = np.array([0.5, 2.0, -1.0])
    link.beta.array = np.array([0.1, -3.0, 0.0])
    link.avg_mean = link.avg_mean.astype(np.float64)
    link.avg_var = link.avg_var.astype(np.float64)
    return link


def of_channels(values, x):
    """Return one number a channel, in a shape that goes with ``x``."""
    return values.reshape((1, 3) + (1,) * (x.ndim - 2))


def normalized(x, mean, variance, bn):
    x_hat = (x - of_channels(mean, x)) / np.sqrt(of_channels(variance, x) + EPS)
    return of_channels(bn.gamma.array, x) * x_hat + of_channels(bn.beta.array, x)


def mean_and_variance(x):
    """Of each channel over the images and the pixels: sums over m values, divided by m."""
    values = np.moveaxis(x, 1, 0).reshape(3, -1)
    m = values.shape[1]
    mean = values.sum(axis=1) / m
    return mean, ((values - mean[:, None]) ** 2).sum(axis=1) / m, m


def test_training_normalizes_by_the_batch(x, bn):
    mean, variance, _ = mean_and_variance(x)
    with chainer.using_config('train', True):
        y = bn(x).array
    np.testing.assert_allclose(y, normalized(x, mean, variance, bn), rtol=1e-12)


def test_running_statistics_start_at_zero_and_take_a_tenth_of_each_batch(x, bn):
    assert not bn.avg_mean.any() and not bn.avg_var.any()
    average, variation = np.zeros(3), np.zeros(3)
    with chainer.using_config('train', True):
        for scale in (1, 2, 3):
            bn(x * scale)
            mean, variance, m = mean_and_variance(x * scale)
            average = DECAY * average + (1 - DECAY) * mean
            variation = DECAY * variation + (1 - DECAY) * variance * m / (m - 1)
    np.testing.assert_allclose(bn.avg_mean, average, rtol=1e-12)
    np.testing.assert_allclose(bn.avg_var, variation, rtol=1e-12)


def test_testing_normalizes_by_the_running_statistics(x, bn):
    bn.avg_mean[...] = [0.5, -1.0, 2.0]
    bn.avg_var[...] = [4.0, 0.25, 1.0]
    before = bn.avg_mean.copy(), bn.avg_var.copy()
    with chainer.using_config('train', False):
        y = bn(x).array
    np.testing.assert_allclose(y, normalized(x, bn.avg_mean, bn.avg_var, bn), rtol=1e-12)
    np.testing.assert_array_equal(bn.avg_mean, before[0])
    np.testing.assert_array_equal(bn.avg_var, before[1])


def test_the_running_variance_lacks_the_eps_that_chainer_1_adds_on_a_cpu():
    """A batch without variation leaves it at 0; Chainer 1.24 on a CPU makes it a tenth of eps."""
    bn = links.BatchNormalization(3)
    with chainer.using_config('train', True):
        bn(np.ones((4, 3, 2, 2), np.float32))
    assert not bn.avg_var.any()
