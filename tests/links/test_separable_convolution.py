"""A separable convolution is a depthwise one, then 1x1 across channels."""

import pathlib
import runpy

import chainer.functions as F
import numpy as np
import pytest

from chainer_zoo.links import SeparableConvolution


@pytest.mark.parametrize('ksize,stride,pad', [(3, 1, 1), (3, 2, 1), (5, 1, 2), (3, 1, 0)])
def test_it_is_the_convolution_with_the_product_of_its_kernels(ksize, stride, pad):
    rng = np.random.RandomState(0)
    x = rng.uniform(-1, 1, (2, 4, 8, 7)).astype(np.float32)
    link = SeparableConvolution(4, 6, ksize, stride, pad)
    full = link.pointwise.W.array * link.depthwise.W.array[None, :, 0]  # (6, 4, K, K)
    np.testing.assert_allclose(
        link(x).array, F.convolution_2d(x, full, None, stride, pad).array, rtol=0, atol=1e-5
    )


def test_its_parameters_are_one_kernel_a_channel_and_the_1x1():
    shapes = {path: param.shape for path, param in SeparableConvolution(4, 6).namedparams()}
    assert shapes == {'/depthwise/W': (4, 1, 3, 3), '/pointwise/W': (6, 4, 1, 1)}


def test_identity_kernels_pass_the_image_on():
    link = SeparableConvolution(3, 3)
    link.depthwise.W.array[...] = 0
    link.depthwise.W.array[:, 0, 1, 1] = 1
    link.pointwise.W.array[...] = np.eye(3)[:, :, None, None]
    x = np.random.RandomState(0).uniform(-1, 1, (2, 3, 5, 5)).astype(np.float32)
    np.testing.assert_array_equal(link(x).array, x)


def test_numpy_is_not_ten_times_slower_than_for_a_plain_convolution():
    benchmark = pathlib.Path(__file__).parents[2] / 'benchmarks' / 'separable.py'
    measure = runpy.run_path(str(benchmark))['measure']
    ms, plain, products = measure((2, 728, 728, 19), repeat=3)
    assert plain == pytest.approx(products, rel=0.02)  # the same arithmetic
    assert ms['separable'] < 10 * ms['plain']
