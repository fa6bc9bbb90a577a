"""Convolutions and batch normalization on the real cuDNN 9 agree with the CPU in float64.

tests/engines/gpu/test_cudnn.py has the same cases on a stand-in for the library.
"""

import collections

import chainer
import cudnn_cases
import numpy as np
import pytest
from chainer.backends import cuda

from chainer_zoo import engines
from chainer_zoo.engines.gpu import convolution
from chainer_zoo.engines.gpu import normalization

pytestmark = pytest.mark.gpu

PASSES = [
    (convolution, 'forward'),
    (convolution, 'backward_data'),
    (convolution, 'backward_weights'),
    (normalization, 'forward'),
    (normalization, 'backward'),
]


@pytest.fixture(autouse=True)
def calls(device, monkeypatch):
    """How often cuDNN computed each pass, in the order of :data:`PASSES`."""
    if engines.GPU.why_not() is not None:
        pytest.skip('needs cuDNN 9: ' + engines.GPU.why_not())
    count = collections.Counter()

    def counted(module, name, function):
        def call(*args):
            result = function(*args)  # or an exception, if cuDNN refuses
            count[module, name] += 1
            return result

        monkeypatch.setattr(module, name, call)

    for module, name in PASSES:
        counted(module, name, getattr(module, name))
    return lambda: [count[which] for which in PASSES]


@pytest.mark.parametrize('dtype', cudnn_cases.DTYPES)
@pytest.mark.parametrize('name', cudnn_cases.CONVOLUTIONS)
def test_convolution(name, dtype, device, calls):
    with chainer.using_config('autotune', False):
        cudnn_cases.assert_close(
            cudnn_cases.convolution, cudnn_cases.CONVOLUTIONS[name], device, dtype
        )
    if dtype == 'float32' or name == '3x3':  # others may be refused, and are right all the same
        assert calls()[:3] == ([1, 1, 1] if dtype == 'float16' else [3, 2, 2])


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
@pytest.mark.parametrize('name', ['3x3', 'odd sizes', 'groups', 'wide'])
def test_convolution_that_tries_all_algorithms(name, dtype, device, calls):
    with chainer.using_config('autotune', True):
        for _ in range(2):  # the second time with the choice of the first
            cudnn_cases.assert_close(
                cudnn_cases.convolution, cudnn_cases.CONVOLUTIONS[name], device, dtype
            )
    assert calls()[:3] == ([2, 2, 2] if dtype == 'float16' else [6, 4, 4])


@pytest.mark.parametrize('how', ['channels last', 'strided'])
def test_convolution_of_other_layouts_and_without_bias(how, device, calls):
    cudnn_cases.assert_close(
        cudnn_cases.convolution,
        cudnn_cases.CONVOLUTIONS['odd sizes'],
        device,
        'float32',
        how=how,
        bias=False,
    )
    assert calls()[:3] == [3, 2, 2]


@pytest.mark.parametrize('dtype', cudnn_cases.DTYPES)
@pytest.mark.parametrize('name', cudnn_cases.DECONVOLUTIONS)
def test_deconvolution(name, dtype, device, calls):
    cudnn_cases.assert_close(
        cudnn_cases.deconvolution, cudnn_cases.DECONVOLUTIONS[name], device, dtype
    )
    if dtype == 'float32':
        assert bool(calls()[1]) == ('cover_all' not in name)


@pytest.mark.parametrize('dtype', cudnn_cases.DTYPES)
@pytest.mark.parametrize('name', cudnn_cases.NORMALIZATIONS)
def test_normalization(name, dtype, device, calls):
    case = cudnn_cases.NORMALIZATIONS[name]
    cudnn_cases.assert_close(cudnn_cases.normalization, case, device, dtype)
    if dtype == 'float32' or name == 'images':
        assert calls()[3:] == [1, 1]


def test_persistent_mode_of_normalization(device):
    with chainer.using_config('cudnn_fast_batch_normalization', True):
        cudnn_cases.assert_close(
            cudnn_cases.normalization, cudnn_cases.NORMALIZATIONS['many'], device, 'float32'
        )


@pytest.mark.parametrize('autotune', [False, True])
def test_deterministic_algorithms_repeat_their_bits(autotune, device, calls):
    case = (64, 16, 16, 16), (32, 16, 3, 3), {'pad': 1}
    with (
        chainer.using_config('cudnn_deterministic', True),
        chainer.using_config('autotune', autotune),
    ):
        first, second = (cudnn_cases.convolution(case, device, 'float32') for _ in range(2))
    assert calls()[:3] == [6, 4, 4]
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_on_another_stream(device, calls):
    with cuda.Stream(non_blocking=True) as stream:
        found = cudnn_cases.convolution(cudnn_cases.CONVOLUTIONS['wide'], device, 'float32')
        stream.synchronize()
    expected = cudnn_cases.convolution(cudnn_cases.CONVOLUTIONS['wide'], device, 'float32')
    assert calls()[:3] == [6, 4, 4]
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_without_it(device, calls):
    with chainer.using_config('use_cudnn', 'never'):
        cudnn_cases.assert_close(
            cudnn_cases.convolution, cudnn_cases.CONVOLUTIONS['3x3'], device, 'float32'
        )
    assert calls() == [0] * 5


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_a_training_step_of_a_model(dtype, device, calls):
    _, grads = found = cudnn_cases.training_step(device, dtype, 8)
    layers = sum(path.endswith('/W') and grad.ndim == 4 for path, grad in grads.items())
    assert calls()[:3] == [layers, layers - 1, layers]  # the images have no gradient
    assert min(calls()[3:]) > 5
    cudnn_cases.assert_same_step(found, dtype, 8)
