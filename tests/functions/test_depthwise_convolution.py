"""Depthwise convolution equals Chainer's grouped convolution, with all gradients."""

import sys

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer import gradient_check

from chainer_zoo import engines
from chainer_zoo.engines import listeners
from chainer_zoo.errors import UserError
from chainer_zoo.functions import depthwise_convolution
from chainer_zoo.functions.depthwise_convolution import DepthwiseConvolution

# B, C, H, W, kernel, stride, pad
CASES = [
    (2, 3, 6, 5, (3, 3), 1, 1),  # Xception's
    (2, 3, 6, 5, (3, 3), 1, 0),
    (2, 3, 7, 6, (3, 3), 2, 1),  # a stride, odd and even size
    (1, 2, 9, 9, (5, 5), (3, 2), 2),
    (2, 3, 6, 5, (1, 4), 1, (0, 3)),  # neither square nor odd; as much padding as there may be
    (2, 3, 6, 5, (1, 1), 1, 0),
    (2, 3, 3, 3, (3, 3), 1, 0),  # one position
    (0, 3, 6, 5, (3, 3), 1, 1),  # no image
]


def arrays(case, dtype, seed=0):
    batch, channels, height, width, ksize, _, _ = case
    rng = np.random.RandomState(seed)
    return (
        rng.uniform(-1, 1, (batch, channels, height, width)).astype(dtype),
        rng.uniform(-1, 1, (channels, 1) + ksize).astype(dtype),
    )


@pytest.mark.parametrize(
    'dtype,tolerance', [('float16', 4e-2), ('float32', 1e-5), ('float64', 1e-13)]
)
@pytest.mark.parametrize('case', CASES)
def test_result_and_gradients_are_those_of_grouped_convolution(case, dtype, tolerance):
    stride, pad = case[5:]
    found = []
    for function in (
        depthwise_convolution,
        lambda *a: F.convolution_2d(a[0], a[1], None, *a[2:], groups=case[1]),
    ):
        x, w = (chainer.Variable(a) for a in arrays(case, dtype))
        y = function(x, w, stride, pad)
        y.grad = np.random.RandomState(1).uniform(-1, 1, y.shape).astype(dtype)
        y.backward()
        found.append((y.array, x.grad, w.grad))
    for ours, theirs in zip(*found):
        assert ours.shape == theirs.shape and ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize('case', [case for case in CASES if case[0]])
def test_gradients_of_gradients(case):
    stride, pad = case[5:]
    x, w = arrays(case, 'float64')
    y = depthwise_convolution(x, w, stride, pad)
    gy = np.random.RandomState(1).uniform(-1, 1, y.shape)
    ggx, ggw = arrays(case, 'float64', seed=2)
    gradient_check.check_double_backward(
        lambda x, w: depthwise_convolution(x, w, stride, pad),
        (x, w),
        gy,
        (ggx, ggw),
        dtype='float64',
        rtol=1e-6,
        atol=1e-8,
    )


@pytest.mark.parametrize('numbers', [1, 300, 5000])
def test_size_of_chunks_changes_nothing(numbers, monkeypatch):
    case = (5, 7, 6, 5, (3, 3), 1, 1)
    x, w = arrays(case, 'float32')
    whole = depthwise_convolution(x, w, 1, 1).array
    # the function has the module's name, so the module is asked for by that of its class
    monkeypatch.setattr(sys.modules[DepthwiseConvolution.__module__], '_CHUNK', numbers)
    # some BLAS libraries round a product of another size otherwise
    np.testing.assert_allclose(depthwise_convolution(x, w, 1, 1).array, whole, atol=1e-6)


def test_a_kernel_with_one_one_shifts_its_channel_only():
    x = np.arange(2 * 2 * 3 * 3, dtype=np.float32).reshape(2, 2, 3, 3)
    w = np.zeros((2, 1, 3, 3), np.float32)
    w[0, 0, 1, 1] = 1  # the pixel itself
    w[1, 0, 1, 2] = 1  # its right neighbour
    y = depthwise_convolution(x, w, 1, 1).array
    np.testing.assert_array_equal(y[:, 0], x[:, 0])
    np.testing.assert_array_equal(y[:, 1, :, :2], x[:, 1, :, 1:])
    np.testing.assert_array_equal(y[:, 1, :, 2], 0)


def test_channels_last_images_give_the_same():
    x, w = arrays((2, 3, 6, 5, (3, 3), 1, 1), 'float32')
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(
        depthwise_convolution(last, w, 1, 1).array, depthwise_convolution(x, w, 1, 1).array
    )


@pytest.mark.parametrize('pad', [3, (1, 3), -1])
def test_padding_beyond_the_kernel_is_refused(pad):
    x, w = arrays((2, 3, 6, 5, (3, 3), 1, 1), 'float32')
    with pytest.raises(UserError, match='less than the kernel'):
        depthwise_convolution(x, w, 1, pad)


@pytest.mark.parametrize('shape', [(4, 1, 3, 3), (3, 3, 3, 3), (3, 1, 9, 3)])
def test_kernels_of_a_wrong_shape_are_refused(shape):
    x, _ = arrays((2, 3, 6, 5, (3, 3), 1, 1), 'float32')
    with pytest.raises(chainer.utils.type_check.InvalidType):
        depthwise_convolution(x, np.zeros(shape, np.float32), 1, 1)


@pytest.fixture
def listener():
    """Hear which nodes an engine computes."""

    class Listener(listeners.Listener):
        def __init__(self):
            self.computed = {}

        def node(self, node, taken):
            self.computed.setdefault(type(node).__name__, set()).add(taken)

    listener = Listener()
    listeners.listeners.append(listener)
    yield listener
    listeners.listeners.remove(listener)


@pytest.mark.skipif(
    not engines.CPU.is_available(), reason=f'oneDNN does not load: {engines.CPU.why_not()}'
)
class TestOnTheEngine:
    """oneDNN's grouped convolution computes the three nodes; what it refuses goes to NumPy."""

    @pytest.mark.parametrize('case', [(2, 16, 6, 5, (3, 3), 1, 1), (2, 16, 7, 6, (3, 3), 2, 1)])
    def test_result_and_gradients_are_the_same(self, case, listener):
        found = []
        for on in False, True:
            x, w = (chainer.Variable(a) for a in arrays(case, 'float32'))
            with engines.CPU.using(on):
                y = depthwise_convolution(x, w, *case[5:])
                y.grad = np.random.RandomState(1).uniform(-1, 1, y.shape).astype('f')
                y.backward()
            found.append((y.array, x.grad, w.grad))
        for ours, theirs in zip(*found):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
        assert listener.computed == {
            name: {True}
            for name in (
                'DepthwiseConvolution',
                'DepthwiseConvolutionGradX',
                'DepthwiseConvolutionGradW',
            )
        }

    @pytest.mark.parametrize('case', [(2, 16, 6, 5, (3, 3), 1, 1), (2, 16, 7, 6, (3, 3), 2, 1)])
    def test_gradients_of_gradients_are_the_same(self, case):
        found = []
        for on in False, True:
            x, w = (chainer.Variable(a) for a in arrays(case, 'float32'))
            with engines.CPU.using(on):
                y = depthwise_convolution(x, w, *case[5:])
                gx, gw = chainer.grad([y * y], [x, w], enable_double_backprop=True)
                (F.sum(gx * gx) + F.sum(gw * gw)).backward()
            found.append((x.grad, w.grad))
        for ours, theirs in zip(*found):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * abs(theirs).max())

    @pytest.mark.parametrize('dtype', ['float16', 'float64'])
    def test_other_types_go_to_numpy(self, dtype, listener):
        with engines.CPU.using(True):
            x, w = arrays((2, 16, 6, 5, (3, 3), 1, 1), dtype)
            assert depthwise_convolution(x, w, 1, 1).dtype == dtype
        assert listener.computed == {'DepthwiseConvolution': {False}}
