"""Convolution, its gradients and linear layers give Chainer's numbers."""

import chainer.functions as F
import engine_checks as engine
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from chainer_zoo import engines
from chainer_zoo.engines.cpu import primitive
from chainer_zoo.engines.cpu import weights

CONVOLUTION = ('Convolution2DFunction', 'Deconvolution2DFunction', 'WeightAndBiasGrad')

# x, W, options
CASES = [
    ((2, 3, 7, 5), (4, 3, 3, 3), dict(pad=1)),
    ((2, 16, 8, 8), (32, 16, 3, 3), dict(pad=1)),
    ((2, 5, 9, 9), (7, 5, 1, 1), dict()),
    ((1, 1, 1, 1), (1, 1, 1, 1), dict()),
    ((1, 3, 1, 1), (2, 3, 3, 3), dict(pad=1)),  # one pixel
    ((3, 1, 6, 6), (1, 1, 3, 3), dict(pad=1)),  # one channel
    ((2, 4, 7, 9), (6, 4, 3, 3), dict(stride=2, pad=1)),
    ((2, 4, 8, 8), (6, 4, 3, 3), dict(stride=2, pad=1)),  # the last pixel is unused
    ((2, 4, 9, 8), (6, 4, 1, 1), dict(stride=2)),
    ((2, 4, 9, 8), (6, 4, 2, 3), dict(stride=(2, 3), pad=(0, 2))),
    ((2, 3, 5, 5), (4, 3, 3, 3), dict(pad=4)),  # more padding than the kernel needs
    ((2, 3, 12, 12), (4, 3, 3, 3), dict(pad=2, dilate=2)),
    ((2, 3, 12, 11), (4, 3, 3, 2), dict(pad=2, dilate=(3, 2), stride=2)),
    ((2, 6, 7, 7), (4, 3, 3, 3), dict(pad=1, groups=2)),
    ((2, 32, 7, 7), (32, 1, 3, 3), dict(pad=1, groups=32)),  # depthwise
    ((2, 5, 7, 7), (5, 1, 3, 3), dict(pad=1, groups=5, stride=2)),
    ((2, 4, 8, 8), (6, 4, 3, 3), dict(stride=2, cover_all=True)),
    ((2, 3, 16, 16), (8, 3, 7, 7), dict(stride=2, pad=2)),
    ((2, 3, 9, 4), (4, 3, 1, 7), dict(pad=(0, 3))),
]


@pytest.mark.parametrize('bias', [True, False], ids=['bias', 'no bias'])
@pytest.mark.parametrize('x, w, options', CASES, ids=str)
def test_convolution(x, w, options, bias):
    inputs = [engine.values(0, *x), engine.values(1, *w)]
    nodes = CONVOLUTION[:2]
    if bias:
        inputs.append(engine.values(2, w[0]))
        nodes = CONVOLUTION
    engine.check(
        lambda *v: F.convolution_2d(*v, **options),
        inputs,
        nodes if options.get('groups', 1) == 1 else (),
    )


@pytest.mark.parametrize('how', engine.LAYOUTS)
def test_convolution_of_any_memory_layout(how):
    x = engine.layout(engine.values(0, 2, 6, 7, 5), how)
    w = engine.layout(engine.values(1, 4, 6, 3, 3), how)
    engine.check(
        lambda x, w, b: F.convolution_2d(x, w, b, pad=1), [x, w, engine.values(2, 4)], CONVOLUTION
    )


@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 20),
    out=st.integers(1, 20),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    pad=st.integers(0, 3),
    how=st.sampled_from(engine.LAYOUTS),
)
@settings(max_examples=60, deadline=None)
def test_convolution_of_any_shape(batch, channels, out, size, kernel, stride, pad, how):
    if any(n + 2 * pad < k for n, k in zip(size, kernel)):
        return
    x = engine.layout(engine.values(0, batch, channels, *size), how)
    engine.check(
        lambda x, w, b: F.convolution_2d(x, w, b, stride=stride, pad=pad),
        [x, engine.values(1, out, channels, *kernel), engine.values(2, out)],
    )


def test_an_empty_batch_goes_to_chainer():
    x, w = np.empty((0, 3, 5, 5), np.float32), engine.values(0, 4, 3, 3, 3)
    with engines.CPU.using(True):
        assert F.convolution_2d(x, w, pad=1).shape == (0, 4, 5, 5)


@pytest.mark.parametrize('dtype', [np.float16, np.float64])
def test_other_types_go_to_chainer(dtype):
    x, w = engine.values(0, 2, 3, 5, 5).astype(dtype), engine.values(1, 4, 3, 3, 3).astype(dtype)
    results = []
    for on in (True, False):
        with engines.CPU.using(on):
            results.append(F.convolution_2d(x, w).array)
    assert results[0].dtype == dtype
    np.testing.assert_array_equal(*results)


def test_weights_changed_in_place_count_at_once():
    x, w = engine.values(0, 1, 2, 4, 4), engine.values(1, 3, 2, 3, 3)
    with engines.CPU.using(True):
        before = F.convolution_2d(x, w).array.copy()
        w *= 2
        np.testing.assert_allclose(F.convolution_2d(x, w).array, 2 * before, rtol=1e-5)


@pytest.mark.parametrize(
    'x, n_out', [((4, 7), 5), ((1, 1), 1), ((3, 512), 10), ((5, 2, 3, 3), 4)], ids=str
)
@pytest.mark.parametrize('bias', [True, False], ids=['bias', 'no bias'])
def test_linear(x, n_out, bias):
    n_in = int(np.prod(x[1:]))
    inputs = [engine.values(0, *x), engine.values(1, n_out, n_in)]
    if bias:
        inputs.append(engine.values(2, n_out))
    engine.check(F.linear, inputs, ('LinearFunction', 'LinearGradData', 'LinearGradWeight'))


@pytest.mark.parametrize('outsize', [None, (8, 8)])
def test_deconvolution(outsize):
    engine.check(
        lambda x, w, b: F.deconvolution_2d(x, w, b, stride=2, pad=1, outsize=outsize),
        [engine.values(0, 2, 4, 4, 4), engine.values(1, 4, 3, 3, 3), engine.values(2, 3)],
        ('Deconvolution2DFunction', 'Convolution2DGradW'),
    )


class TestDerivedWeights:
    """Weights are put in oneDNN's order once per change, and never used when out of date."""

    @staticmethod
    def ordered(monkeypatch):
        """Return a list that gets an element whenever weights are put in order."""
        seen = []
        run = primitive.Primitive.run

        def spy(self, *addresses):
            seen.extend([self.name] * (self.name == 'reorder'))
            return run(self, *addresses)

        monkeypatch.setattr(primitive.Primitive, 'run', spy)
        return seen

    def test_an_unchanged_weight_is_not_ordered_again(self, monkeypatch):
        x, W = engine.values(0, 2, 16, 8, 8), engine.values(1, 32, 16, 3, 3)
        x = engine.layout(x, 'channels last')
        with engines.CPU.using(True):
            F.convolution_2d(x, W)
            seen = self.ordered(monkeypatch)
            F.convolution_2d(x, W)
            assert seen == []
            W[-1, -1, -1, -1] += 1
            F.convolution_2d(x, W)
            assert seen == ['reorder']

    @pytest.mark.parametrize(
        'change',
        [
            lambda W: W.__imul__(2),
            lambda W: W.__setitem__((0, 0, 0, 0), 7),
            lambda W: W.fill(0),
            lambda W: W.__setitem__((-1, -1, -1, -1), -0.0),
        ],
    )
    def test_a_change_in_place_is_seen(self, change):
        x, W = engine.values(0, 2, 16, 8, 8), engine.values(1, 32, 16, 3, 3)
        for _ in range(2):
            with engines.CPU.using(True):
                ours = F.convolution_2d(x, W).array
            np.testing.assert_allclose(ours, F.convolution_2d(x, W).array, rtol=1e-4, atol=1e-4)
            change(W)

    def test_what_is_kept_is_bounded(self, monkeypatch):
        monkeypatch.setattr(weights, 'CAPACITY', 1 << 20)
        x = engine.values(0, 1, 64, 4, 4)
        kernels = [engine.values(i, 64, 64, 3, 3) for i in range(20)]  # 147 KiB each
        with engines.CPU.using(True):
            for W in kernels + [engine.values(0, 512, 64, 3, 3)]:
                F.convolution_2d(x, W)
                here = primitive.context()
                kept = sum(entry.nbytes for entry in here.derived.values())
                assert here.derived_bytes == kept <= 1 << 20
