"""Swapout and dropout: the masks by hand, every gradient, and nothing kept for backward."""

import chainer
import numpy as np
import pytest
from chainer import testing
from function_cases import layout

from chainer_zoo import threads
from chainer_zoo.functions import _philox
from chainer_zoo.functions import dropout
from chainer_zoo.functions import swapout
from chainer_zoo.functions.dropout import Dropout
from chainer_zoo.functions.swapout import Swapout
from chainer_zoo.functions.swapout import SwapoutGrad

KEY = 5, 6


def factors(shape, ratios, key=KEY):
    """Masks written down plainly: element e of mask k of K has lane K e + k."""
    lanes = _philox.lanes(key, 0, int(np.prod(shape)) * len(ratios))
    lanes = lanes.astype('d').reshape(tuple(shape) + (len(ratios),))
    return [
        np.where(lanes[..., k] < ratio * 2.0**32, 0, 1 / (1 - ratio))
        for k, ratio in enumerate(ratios)
    ]


class Settings:
    """What the function tests below share."""

    def setUp(self):
        self.check_forward_options = {'float16': {'atol': 2e-3, 'rtol': 2e-3}}.get(
            self.dtype, {'atol': 1e-6, 'rtol': 1e-6}
        )
        loose = {'float16': {'atol': 5e-2, 'rtol': 5e-2}}.get(
            self.dtype, {'atol': 1e-3, 'rtol': 1e-3}
        )
        self.check_backward_options = self.check_double_backward_options = loose

    def generate_inputs(self):
        return tuple(
            np.random.uniform(-1, 1, self.shape).astype(self.dtype) for _ in range(self.inputs)
        )


PRODUCT = testing.product(
    {
        'dtype': ['float16', 'float32', 'float64'],
        'shape': [(7,), (4, 3, 2, 5)],
    }
)


@testing.parameterize(*PRODUCT)
@testing.inject_backend_tests(None, [{}])
class TestDropout(Settings, testing.FunctionTestCase):
    inputs = 1

    def forward(self, inputs, device):
        return Dropout(0.3, KEY).apply(inputs)

    def forward_expected(self, inputs):
        (m,) = factors(self.shape, [0.3])
        return ((m * inputs[0]).astype(self.dtype),)


@testing.parameterize(*PRODUCT)
@testing.inject_backend_tests(None, [{}])
class TestSwapout(Settings, testing.FunctionTestCase):
    inputs = 2

    def forward(self, inputs, device):
        return Swapout(0.2, 0.5, KEY).apply(inputs)

    def forward_expected(self, inputs):
        m1, m2 = factors(self.shape, [0.2, 0.5])
        return ((m1 * inputs[0] + m2 * inputs[1]).astype(self.dtype),)


@testing.parameterize(*PRODUCT)
@testing.inject_backend_tests(None, [{}])
class TestSwapoutGrad(Settings, testing.FunctionTestCase):
    inputs = 1

    def forward(self, inputs, device):
        return SwapoutGrad(0.2, 0.5, KEY).apply(inputs)

    def forward_expected(self, inputs):
        return tuple((m * inputs[0]).astype(self.dtype) for m in factors(self.shape, [0.2, 0.5]))


def run(function, arrays, **ratios):
    variables = [chainer.Variable(a) for a in arrays]
    with chainer.using_config('train', True):
        return function(*variables, **ratios), variables


def test_backward_uses_the_mask_of_its_own_forward():
    """Also when other draws came between, and when backward runs twice."""
    ones = np.ones((2, 3, 8, 8), 'f')
    y, (x, f) = run(swapout, (ones, ones * 2), theta1=0.3, theta2=0.5)
    run(dropout, (ones,), ratio=0.5)
    for _ in range(2):
        x.cleargrad(), f.cleargrad()
        y.grad = ones
        y.backward()
        np.testing.assert_allclose(x.grad + 2 * f.grad, y.array, rtol=1e-6)


def test_only_the_wanted_gradients_are_returned():
    """A gradient for x alone and for f alone, and a second gradient through one of the two."""
    ones = np.ones((2, 3), 'd')
    y, (x, f) = run(swapout, (ones, ones), theta1=0.3, theta2=0.5)
    m1, m2 = factors(y.shape, [0.3, 0.5], y.creator.key)
    for variable, m in ((x, m1), (f, m2)):
        gy = chainer.Variable(ones)
        (g,) = chainer.grad([y], [variable], [gy], enable_double_backprop=True)
        np.testing.assert_allclose(g.array, m)
        (ggy,) = chainer.grad([g], [gy], [chainer.Variable(ones * 3)])
        np.testing.assert_allclose(ggy.array, 3 * m)
    y, (x,) = run(lambda x: swapout(x, ones, 0.3, 0.5), (ones,))
    y.grad = ones
    y.backward()
    np.testing.assert_allclose(x.grad, factors(y.shape, [0.3, 0.5], y.creator.key)[0])


@pytest.mark.parametrize(
    'function,inputs,ratios',
    [(dropout, 1, {'ratio': 0.5}), (swapout, 2, {'theta1': 0.3, 'theta2': 0.5})],
)
def test_nothing_is_kept_for_backward(function, inputs, ratios):
    y, _ = run(function, [np.ones((2, 3, 4, 4), 'f')] * inputs, **ratios)
    assert all(node.data is None for node in y.creator.inputs) and y.node.data is None
    assert not [v for v in vars(y.creator).values() if isinstance(v, np.ndarray)]


@pytest.mark.parametrize('how', ['channels last', 'strided'])
def test_masks_do_not_depend_on_memory_layout(how):
    x, f = np.random.RandomState(0).standard_normal((2, 70, 6, 9, 11)).astype('f')
    (y,) = Swapout(0.2, 0.5, KEY).apply((layout(x, how), layout(f, how)))
    np.testing.assert_array_equal(y.array, Swapout(0.2, 0.5, KEY).apply((x, f))[0].array)
    if how == 'channels last':
        assert y.array.transpose(0, 2, 3, 1).flags.c_contiguous


def test_masks_do_not_depend_on_chunks_and_threads(monkeypatch):
    x = np.ones((40, 5, 9, 7), 'f')
    expected = Dropout(0.3, KEY).apply((x,))[0].array
    for chunk in (1, 17, 315, 700):
        for number in (1, 2, 7):
            monkeypatch.setattr(_philox, '_CHUNK', chunk)
            monkeypatch.setattr(threads, 'limit', lambda number=number: number)
            np.testing.assert_array_equal(Dropout(0.3, KEY).apply((x,))[0].array, expected)


def test_float16_is_rounded_once():
    x, f = np.random.RandomState(0).standard_normal((2, 4, 3, 8, 8)).astype('e')
    (y,) = Swapout(0.2, 0.4, KEY).apply((x, f))
    m1, m2 = (m.astype('f') for m in factors(x.shape, [0.2, 0.4]))
    np.testing.assert_array_equal(y.array, (m1 * x + m2 * f).astype('e'))


def test_mismatched_shapes_and_types_are_refused():
    x = np.ones((2, 3, 4, 4), 'f')
    for f in (x[:, :2], x.astype('d')):
        with pytest.raises(chainer.utils.type_check.InvalidType):
            run(swapout, (x, f), theta1=0.3, theta2=0.5)
    with pytest.raises(chainer.utils.type_check.InvalidType):
        run(dropout, (x.astype('i'),), ratio=0.5)
