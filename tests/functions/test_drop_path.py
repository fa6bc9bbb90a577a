"""Stochastic depth: what is dropped, what goes on, the factor at test, and every gradient."""

import chainer
import numpy as np
import pytest
from chainer import testing

import chainer_zoo
from chainer_zoo.errors import UserError
from chainer_zoo.functions import _philox
from chainer_zoo.functions import drop_path
from chainer_zoo.functions import noise
from chainer_zoo.functions import residual_add
from chainer_zoo.functions import separated_drop_path
from chainer_zoo.functions import survival_scale
from chainer_zoo.functions import survives
from chainer_zoo.functions.drop_path import DropPath
from chainer_zoo.functions.drop_path import MaskImages

KEY = 5, 6
H_SHAPE, X_SHAPE, NARROW = (6, 5, 3, 2), (6, 3, 6, 3), (6, 7, 5, 4)


@pytest.fixture(autouse=True)
def training():
    state = noise.generator.state()
    noise.generator.seed(0)
    with chainer.using_config('train', True):
        yield
    noise.generator.restore(state)


def branches():
    rng = np.random.RandomState(0)
    return [
        chainer.Variable(rng.standard_normal(shape).astype('f')) for shape in (H_SHAPE, X_SHAPE)
    ]


def kept(p, split, key=KEY):
    """The mask written down plainly: image b and group g of G have lane G b + g."""
    groups = 1 if split is None else 2
    lanes = _philox.lanes(key, 0, H_SHAPE[0] * groups).astype('d').reshape(-1, groups)
    mask = np.zeros(H_SHAPE)
    for group, channels in enumerate([slice(0, split), slice(split, None)][:groups]):
        mask[:, channels] = (lanes[:, group] >= (1 - p) * 2.0**32)[:, None, None, None]
    return mask


def padded(x, channels, stride):
    x = x[:, :, ::stride, ::stride]
    return np.pad(x, ((0, 0), (0, channels - x.shape[1]), (0, 0), (0, 0)), 'constant')


class Settings:
    """What the function tests below share."""

    def setUp(self):
        half = self.dtype == 'float16'
        self.check_forward_options = {'atol': 2e-3 if half else 1e-6, 'rtol': 0}
        loose = {'atol': 5e-2, 'rtol': 5e-2} if half else {'atol': 1e-3, 'rtol': 1e-3}
        self.check_backward_options = self.check_double_backward_options = loose

    def generate_inputs(self):
        return tuple(np.random.uniform(-1, 1, shape).astype(self.dtype) for shape in self.shapes)


PRODUCT = {'dtype': ['float16', 'float32', 'float64'], 'split': [None, 2]}


@testing.parameterize(
    *testing.product(dict(PRODUCT, shapes=[(H_SHAPE, X_SHAPE), (H_SHAPE, NARROW)]))
)
@testing.inject_backend_tests(None, [{}])
class TestDropPathFunction(Settings, testing.FunctionTestCase):
    def forward(self, inputs, device):
        return DropPath(0.6, self.split, 2, KEY).apply(inputs)

    def forward_expected(self, inputs):
        h, x = inputs
        channels = max(h.shape[1], x.shape[1])
        y = padded(kept(0.6, self.split) * h, channels, 1) + padded(x, channels, 2)
        return (y.astype(self.dtype),)


@testing.parameterize(*testing.product(dict(PRODUCT, shapes=[(H_SHAPE,)])))
@testing.inject_backend_tests(None, [{}])
class TestMaskImagesFunction(Settings, testing.FunctionTestCase):
    def forward(self, inputs, device):
        return MaskImages(0.6, self.split, KEY).apply(inputs)

    def forward_expected(self, inputs):
        return ((kept(0.6, self.split) * inputs[0]).astype(self.dtype),)


def test_the_mask_is_neither_all_nor_nothing():
    for split in (None, 2):
        assert 0 < kept(0.6, split).mean() < 1


@pytest.mark.parametrize('u,lives', [(0.0, True), (0.59, True), (0.6, False), (0.99, False)])
def test_a_branch_is_dropped_when_p_is_at_most_u(monkeypatch, u, lives):
    monkeypatch.setattr(noise.generator, 'uniform', lambda: u, raising=True)
    assert survives(0.6) is lives


def test_probabilities_0_and_1_are_certain():
    for _ in range(100):
        assert survives(1.0) and not survives(0.0)
    h, x = branches()
    for per_image in (False, True):
        np.testing.assert_array_equal(
            drop_path(h, x, 1.0, 2, per_image).array, residual_add(h, x, 2).array
        )
        np.testing.assert_array_equal(
            drop_path(h, x, 0.0, 2, per_image).array, padded(x.array, 5, 2)
        )


@pytest.mark.parametrize('per_image', [False, True])
@pytest.mark.parametrize(
    'function',
    [
        drop_path,
        lambda h, x, p, stride, per_image: separated_drop_path(h, x, p, 3, stride, per_image),
    ],
    ids=['one group', 'two groups'],
)
def test_at_test_the_branch_is_multiplied_by_p(function, per_image):
    h, x = branches()
    before = noise.generator.state()
    with chainer_zoo.no_noise():
        np.testing.assert_array_equal(
            function(h, x, 0.3, 2, per_image).array, residual_add(h, x, 2).array
        )
    with chainer.using_config('train', False):
        np.testing.assert_array_equal(
            function(h, x, 0.3, 2, per_image).array, residual_add(h, x, 2, 0.3).array
        )
    assert noise.generator.state() == before


def test_survival_scale():
    assert survival_scale(0.3) == 1.0
    with chainer_zoo.no_noise():
        assert survival_scale(0.3) == 1.0
    with chainer.using_config('train', False):
        assert survival_scale(0.3) == 0.3


def test_a_branch_dropped_for_the_batch_gets_no_gradient(monkeypatch):
    monkeypatch.setattr(noise.generator, 'uniform', lambda: 0.9)
    h, x = branches()
    for y in (drop_path(h, x, 0.5, 2), separated_drop_path(h, x, 0.5, 3, 2)):
        np.testing.assert_array_equal(y.array, padded(x.array, 5, 2))
        y.grad = np.ones_like(y.array)
        y.backward()
        assert h.grad is None and x.grad is not None


@pytest.mark.parametrize(
    'draws,mask',
    [
        ([0.1, 0.1], [1, 1, 1, 1, 1]),
        ([0.1, 0.9], [1, 1, 1, 0, 0]),
        ([0.9, 0.1], [0, 0, 0, 1, 1]),
        ([0.9, 0.9], [0, 0, 0, 0, 0]),
    ],
)
def test_two_groups_have_two_draws(monkeypatch, draws, mask):
    queue = list(draws)
    monkeypatch.setattr(noise.generator, 'uniform', lambda: queue.pop(0))
    h, x = branches()
    y = separated_drop_path(h, x, 0.5, 3, 2)
    mask = np.array(mask, 'f')[:, None, None]
    np.testing.assert_array_equal(y.array, h.array * mask + padded(x.array, 5, 2))
    assert not queue
    y.grad = np.full_like(y.array, 2)
    y.backward()
    if mask.any():
        np.testing.assert_array_equal(h.grad, np.broadcast_to(2 * mask, H_SHAPE))
    np.testing.assert_array_equal(x.grad[:, :, ::2, ::2], 2)
    assert x.grad.sum() == 2 * 6 * 3 * 3 * 2


def test_masks_of_images_do_not_depend_on_memory_layout():
    h, x = branches()
    last = [
        np.ascontiguousarray(v.array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for v in (h, x)
    ]
    (y,) = DropPath(0.6, 2, 2, KEY).apply(last)
    assert y.array.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(y.array, DropPath(0.6, 2, 2, KEY).apply((h, x))[0].array)


def test_wrong_arguments_say_so():
    h, x = branches()
    with pytest.raises(UserError, match='probability is -0.5'):
        drop_path(h, x, -0.5, 2)
    with pytest.raises(UserError, match='0 of 5 channels'):
        separated_drop_path(h, x, 0.5, 0, 2)
    with pytest.raises(UserError, match='stride is 0'):
        drop_path(h, x, 0.5, 0, per_image=True)
