"""Swapout's schedule, first shortcut and stochastic inference."""

import chainer
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import parameters
from chainer_zoo.functions import noise
from chainer_zoo.models import swapout
from chainer_zoo.report import golden


@pytest.fixture(scope='module')
def sampling():
    """A small network that differs from sample to sample, and images."""
    model = chainer_zoo.build('swapout', depth=14, k=1)
    golden.fill_model(model, seed=1)
    return model, golden.batch(0, 2, 8)[0]


def at_test(model, x):
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        return model(x).array


def test_theta_runs_from_0_and_ends_one_block_short_of_a_half():
    model = chainer_zoo.build('swapout', depth=20, k=1)
    thetas = sum((model[f'res_block_with_swapout{i}'].thetas for i in (1, 2, 3)), [])
    np.testing.assert_allclose(thetas, np.arange(9) / 18.0, rtol=1e-12)


def test_the_first_shortcut_is_bn_relu_strided_with_zero_channels():
    stage = swapout.SwapoutStage(2, 2, [0.25], stride=2)
    stage.skip_bn.avg_var[...] = 1 - stage.skip_bn.eps
    stage.bn_relu_conv3_1.conv.W.array[...] = 0
    stage.bn_relu_conv3_1.conv.b.array[...] = 10
    x = np.arange(-8, 24, dtype=np.float32).reshape(1, 2, 4, 4)
    y = at_test(stage, x)
    assert y.shape == (1, 8, 2, 2)
    np.testing.assert_allclose(y[0, 0], 10 + np.array([[0, 0], [0, 2]]), rtol=1e-6)
    np.testing.assert_allclose(y[0, 1], 10 + np.array([[8, 10], [16, 18]]), rtol=1e-6)
    np.testing.assert_array_equal(y[0, 2:], 10)


def test_stochastic_inference_gives_probabilities_that_a_seed_repeats(sampling):
    model, x = sampling
    noise.generator.seed(5)
    first = at_test(model, x)
    other = at_test(model, x)
    noise.generator.seed(5)
    np.testing.assert_array_equal(at_test(model, x), first)
    assert np.abs(other - first).max() > 0
    np.testing.assert_allclose(first.sum(axis=1), 1, rtol=1e-5)
    assert first.min() >= 0


def test_stochastic_inference_is_the_mean_of_30_single_samples(sampling):
    model, x = sampling
    noise.generator.seed(6)
    averaged = at_test(model, x)
    noise.generator.seed(6)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        single = [chainer.functions.softmax(model.logits(x, sample=True)).array for _ in range(30)]
    np.testing.assert_allclose(averaged, np.mean(single, axis=0), rtol=1e-5, atol=1e-7)
    assert np.std(single, axis=0).max() > 0


@pytest.mark.parametrize(
    'stochastic_inference, train, expected',
    [(True, False, True), (True, True, False), (False, False, False), (False, True, False)],
)
def test_it_says_whether_it_gives_probabilities(stochastic_inference, train, expected):
    model = chainer_zoo.build('swapout', depth=8, k=1, stochastic_inference=stochastic_inference)
    with chainer.using_config('train', train), chainer.no_backprop_mode():
        assert model.gives_probabilities is expected
        sums = model(golden.batch(0, 2, 8)[0]).array.sum(axis=1)
    assert np.allclose(sums, 1, rtol=1e-5) is expected


def test_no_noise_wins_over_stochastic_inference(sampling):
    model, x = sampling
    with chainer_zoo.no_noise():
        y = at_test(model, x)
        np.testing.assert_array_equal(at_test(model, x), y)
    deterministic = chainer_zoo.build('swapout', depth=14, k=1, stochastic_inference=False)
    golden.fill_model(deterministic, seed=1)
    np.testing.assert_allclose(
        y, chainer.functions.softmax(at_test(deterministic, x)).array, rtol=1e-5, atol=1e-7
    )


def test_samples_leave_the_running_statistics_alone(sampling):
    model, x = sampling
    before = {path: array.copy() for path, array in parameters.arrays(model).items()}
    at_test(model, x)
    for path, array in parameters.arrays(model).items():
        np.testing.assert_array_equal(array, before[path])
