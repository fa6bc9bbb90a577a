"""3x3 convolutions by Winograd's rule are Chainer's in float64, to a bound of their own."""

import warnings

import chainer
import chainer.functions as F
import engine_checks as engine
import numpy as np
import pytest
from hypothesis import assume
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from chainer_zoo import jit
from chainer_zoo.engines.geometry import Geometry

pytest.importorskip('numba')

RELU = 'ReLU'
SHAPES = [  # B, C, H, W, O, padding
    (1, 1, 1, 1, 1, (1, 1)),
    (1, 1, 3, 3, 1, (0, 0)),
    (2, 3, 6, 8, 5, (1, 1)),
    (3, 5, 7, 5, 2, (1, 1)),
    (2, 17, 9, 4, 3, (0, 1)),
    (1, 2, 5, 6, 9, (2, 2)),
    (2, 4, 3, 8, 4, (2, 0)),
    (5, 8, 2, 2, 16, (1, 1)),
]


@pytest.fixture
def winograd():
    from chainer_zoo.engines.cpu.convolution import winograd

    return winograd


@pytest.fixture
def openmp():
    from chainer_zoo.engines.cpu import openmp

    return openmp


def channels_last(x):
    return engine.layout(x, 'channels last')


def arrays(b, c, h, w, o, pad, seed=0):
    """Return x, weights, bias and the gradient of the result."""
    rng = np.random.RandomState(seed)
    shapes = (b, c, h, w), (o, c, 3, 3), (o,), (b, o, h + 2 * pad[0] - 2, w + 2 * pad[1] - 2)
    x, W, bias, gy = [rng.standard_normal(shape).astype('f') for shape in shapes]
    return channels_last(x), W, bias, channels_last(gy)


def expected(x, W, b, gy, pad):
    """Return Chainer's result and gradients of x, weights and bias, in float64."""
    x, W, b = [chainer.Variable(a.astype('d')) for a in (x, W, b)]
    y = F.convolution_2d(x, W, b, pad=pad)
    y.grad = gy.astype('d')
    y.backward()
    return y.array, x.grad, W.grad, b.grad


def geometry(x, W, pad):
    """Return the geometry of a 3x3 convolution."""
    y_hw = [n + 2 * p - 2 for n, p in zip(x.shape[2:], pad)]
    return Geometry(x.shape, W.shape, (len(x), len(W), *y_hw), pad=pad)


def close(found, wanted):
    assert found.dtype == np.float32 and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-6 * max(1, abs(wanted).max()))


@pytest.mark.parametrize('tiles', [1, 5, 256])
@pytest.mark.parametrize('shape', SHAPES)
def test_it_is_chainers_convolution(shape, tiles, winograd, unfilled, monkeypatch):
    monkeypatch.setattr(winograd, '_TILES', tiles)
    x, W, b, gy = arrays(*shape)
    y, gx, gW, gb = expected(x, W, b, gy, shape[-1])
    forward = geometry(x, W, shape[-1])
    backward = forward.of_input_gradient()
    close(winograd.forward(x, W, b, forward), y)
    close(winograd.forward(x, W, None, forward), y - b[:, None, None])
    close(winograd.forward(gy, W, None, backward, transposed=True), gx)
    found, found_b = winograd.gradient(x, gy, forward, True)
    close(found, gW)
    close(found_b, gb)
    found, nothing = winograd.gradient(x, gy, forward, False)
    close(found, gW)
    assert nothing is None


@pytest.mark.parametrize(
    'kinds', [(), (RELU,), ('x',), (RELU, 'x'), ('x', RELU), (RELU, 'x', RELU)], ids=str
)
def test_an_epilogue_is_done_before_the_result_is_stored(kinds, winograd):
    from chainer_zoo.engines.cpu.convolution import epilogue

    x, W, b, added = arrays(2, 6, 7, 6, 4, (1, 1))
    y = expected(x, W, b, added, (1, 1))[0]
    for kind in kinds:
        y = np.maximum(y, 0) if kind == RELU else y + added
    steps = [epilogue.RELU if kind == RELU else added for kind in kinds]
    assert epilogue.can_run_in_loops(steps)
    close(winograd.forward(x, W, b, geometry(x, W, (1, 1)), steps), y)


def test_the_loops_refuse_a_longer_epilogue():
    from chainer_zoo.engines.cpu.convolution import epilogue

    x = np.zeros((1, 1, 1, 1), np.float32)
    assert not epilogue.can_run_in_loops([x, x])
    assert not epilogue.can_run_in_loops([epilogue.RELU, x, epilogue.RELU, x])
    with pytest.raises(ValueError, match='no compiled loop'):
        epilogue.unpack([x, x])


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 20),
    st.integers(1, 13),
    st.integers(1, 13),
    st.integers(1, 20),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.booleans(),
)
def test_any_shape_is_chainers(b, c, h, w, o, pad, normalized):
    from chainer_zoo.engines.cpu.convolution import winograd

    assume(h + 2 * pad[0] > 2 and w + 2 * pad[1] > 2)
    x, W, bias, gy = arrays(b, c, h, w, o, pad)
    read, affine = x, None
    if normalized:
        affine = tuple(np.random.RandomState(1).standard_normal((2, c)).astype('f'))
        read = np.maximum(affine[0][:, None, None] * x + affine[1][:, None, None], 0)
    y, gx, gW, gb = expected(read, W, bias, gy, pad)
    forward = geometry(x, W, pad)
    close(winograd.forward(x, W, bias, forward, affine=affine), y)
    close(winograd.forward(gy, W, None, forward.of_input_gradient(), transposed=True), gx)
    found, found_b = winograd.gradient(x, gy, forward, True, affine)
    close(found, gW)
    close(found_b, gb)


@pytest.mark.parametrize('shape', SHAPES)
def test_what_is_read_is_normalized_but_not_the_padding(shape, winograd, unfilled):
    x, W, b, gy = arrays(*shape)
    scale, shift = np.random.RandomState(1).standard_normal((2, x.shape[1])).astype('f')
    normalized = np.maximum(scale[:, None, None] * x + shift[:, None, None], 0)
    y, _, gW, gb = expected(normalized, W, b, gy, shape[-1])
    forward = geometry(x, W, shape[-1])
    close(winograd.forward(x, W, b, forward, affine=(scale, shift)), y)
    found, found_b = winograd.gradient(x, gy, forward, True, (scale, shift))
    close(found, gW)
    close(found_b, gb)


def test_not_a_number_stays_one(winograd):
    from chainer_zoo.engines.cpu import primitive

    x, W, b, _ = arrays(1, 3, 6, 6, 4, (1, 1))
    x[0, 0, 2, 2] = np.nan
    y = winograd.forward(x, W, b, geometry(x, W, (1, 1)), [primitive.RELU])
    assert np.isnan(y[0, :, 2, 2]).all()


@pytest.mark.parametrize('shape', [(4, 64, 16, 16, 64, (1, 1)), (2, 128, 9, 9, 32, (1, 1))])
def test_rounding_costs_less_than_a_digit_of_float32(shape, winograd):
    x, W, b, gy = arrays(*shape)
    forward = geometry(x, W, (1, 1))
    found = (
        winograd.forward(x, W, b, forward),
        winograd.forward(gy, W, None, forward.of_input_gradient(), transposed=True),
        *winograd.gradient(x, gy, forward, True),
    )
    for a, wanted in zip(found, expected(x, W, b, gy, (1, 1))):
        error = np.sqrt(((a - wanted) ** 2).mean() / (wanted**2).mean())
        assert error < 10 * np.finfo('f').eps


@pytest.mark.parametrize('shape', [(3, 8, 7, 8, 4, (1, 1)), (1, 2, 4, 4, 3, (1, 1))])
def test_any_number_of_threads_gives_the_same(shape, winograd, threads, monkeypatch):
    monkeypatch.setattr(winograd, '_TILES', 4)
    x, W, b, gy = arrays(*shape)
    same_size = geometry(x, W, (1, 1))
    y, _, gW, gb = expected(x, W, b, gy, (1, 1))
    for n in (1, 2, 3, 16):
        threads(n)
        close(winograd.forward(x, W, b, same_size), y)
        for found, wanted in zip(winograd.gradient(x, gy, same_size, True), (gW, gb)):
            close(found, wanted)


PLAIN = Geometry((32, 32, 8, 9), (64, 32, 3, 3), (32, 64, 8, 9), pad=(1, 1))


def chosen(winograd, geometry):
    """Return whether it is chosen for a convolution, and for the gradient of its weights."""
    return winograd.should_compute(geometry), winograd.should_compute_weights_gradient(geometry)


@pytest.mark.parametrize(
    'changes, should',
    [
        (dict(), (True, True)),
        (dict(pad=(0, 2), y_shape=(32, 64, 6, 11)), (True, True)),
        (dict(y_shape=(32, 64, 8, 10)), (False, False)),  # with more padding on the far side
        (dict(pad=(3, 1), y_shape=(32, 64, 12, 9)), (False, False)),
        (dict(stride=(2, 2), y_shape=(32, 64, 4, 5)), (False, False)),
        (dict(w_shape=(64, 32, 3, 1), pad=(1, 0)), (False, False)),
        (dict(pad=(2, 2), dilation=(2, 2)), (False, False)),
        (dict(groups=2, w_shape=(64, 16, 3, 3)), (False, False)),
        (dict(x_shape=(25, 32, 8, 9), y_shape=(25, 64, 8, 9)), (False, False)),  # 500 tiles
        (
            dict(x_shape=(32, 18, 8, 9), w_shape=(16, 18, 3, 3), y_shape=(32, 16, 8, 9)),
            (False, True),
        ),
        (dict(x_shape=(32, 3, 8, 9), w_shape=(64, 3, 3, 3)), (False, False)),
    ],
)
def test_it_is_chosen_for_what_it_computes_where_that_is_faster(
    changes, should, winograd, monkeypatch
):
    monkeypatch.setattr(winograd, '_least_channels', lambda: (10, 8))
    assert chosen(winograd, PLAIN._replace(**changes)) == should


def test_where_vectors_are_wide_more_channels_have_to_be_worth_it(winograd, monkeypatch):
    from chainer_zoo.engines.cpu import library

    winograd._least_channels.cache_clear()
    monkeypatch.setattr(library, 'has_avx512', lambda _: True)
    wide = winograd._least_channels()
    winograd._least_channels.cache_clear()
    monkeypatch.setattr(library, 'has_avx512', lambda _: False)
    narrow = winograd._least_channels()
    winograd._least_channels.cache_clear()
    assert all(a > b for a, b in zip(wide, narrow))


def refuse(_):
    raise RuntimeError('LLVM has no such processor')


@pytest.mark.parametrize('reason', ['numba', 'loops', 'OpenMP'])
@pytest.mark.filterwarnings('ignore:.*Numba')
def test_without_what_it_needs_onednns_own_code_goes_on(reason, winograd, openmp, monkeypatch):
    monkeypatch.setattr(
        *{
            'numba': (jit, 'loops', lambda _: None),
            'loops': (jit, 'loops', refuse),
            'OpenMP': (openmp, '_OPENMP', ('omp_no_such_function',)),
        }[reason]
    )
    openmp.can_run.cache_clear()
    try:
        assert chosen(winograd, PLAIN) == (False, False)
    finally:
        openmp.can_run.cache_clear()


def test_loops_that_do_not_compile_are_said_once(openmp, monkeypatch):
    monkeypatch.setattr(jit, 'loops', refuse)
    openmp.can_run.cache_clear()
    try:
        with pytest.warns(UserWarning, match='no such processor'):
            assert not openmp.can_run()
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            assert not openmp.can_run()
    finally:
        openmp.can_run.cache_clear()


@pytest.mark.parametrize(
    'b, c, n, gradient',
    [
        (32, 64, 2, True),
        (32, 512, 4, True),
        (32, 512, 5, False),
        (300, 512, 5, True),
        (32, 64, 300, False),
    ],
)
def test_the_sums_of_many_threads_do_not_fill_the_memory(
    b, c, n, gradient, winograd, openmp, monkeypatch
):
    monkeypatch.setattr(openmp, 'thread_limit', lambda: n)
    shape = b, c, 8, 9
    geometry = PLAIN._replace(x_shape=shape, w_shape=(c, c, 3, 3), y_shape=shape)
    assert chosen(winograd, geometry) == (True, gradient)


def test_the_engine_uses_it_for_all_passes(winograd, monkeypatch):
    calls = []
    real = {name: getattr(winograd, name) for name in ('forward', 'gradient')}
    for name in real:

        def noting(*args, name=name, **kwargs):
            calls.append('transposed' if kwargs.get('transposed') else name)
            return real[name](*args, **kwargs)

        monkeypatch.setattr(winograd, name, noting)
    x, w = engine.values(0, 32, 64, 8, 8), engine.values(1, 64, 64, 3, 3)
    for how in engine.LAYOUTS:
        del calls[:]
        engine.check(
            lambda x, w, b: F.convolution_2d(x, w, b, pad=1),
            [engine.layout(x, how), engine.layout(w, how), engine.values(2, 64)],
        )
        assert sorted(calls) == ['forward', 'gradient', 'transposed']


def test_weights_that_change_are_seen(winograd):
    x, W, _, _ = arrays(2, 3, 6, 6, 4, (1, 1))
    same_size = geometry(x, W, (1, 1))
    for _ in range(3):
        y = expected(x, W, np.zeros(len(W)), channels_last(np.ones((2, 4, 6, 6))), (1, 1))[0]
        close(winograd.forward(x, W, None, same_size), y)
        close(winograd.forward(x, W, None, same_size), y)
        W *= 2


def test_a_product_that_onednn_refuses_is_an_error(winograd, monkeypatch):
    from chainer_zoo.engines.cpu import library

    x, W, _, _ = arrays(2, 3, 6, 6, 4, (1, 1))
    real = winograd._scratch
    # no channel, so rows of no numbers
    monkeypatch.setattr(winograd, '_transformed', lambda *_: (np.empty((16, 0, 4), 'f'), None))
    monkeypatch.setattr(winograd, '_scratch', lambda shape, c, o: real(shape, 3, o))
    with pytest.raises(
        library.OneDNNError, match=r'3x3 convolution of \(2, 6, 6, 3\).*invalid arg'
    ):
        winograd.forward(x, W, None, geometry(x, W, (1, 1)))
