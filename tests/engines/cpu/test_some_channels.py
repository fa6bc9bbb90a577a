"""Convolutions by compiled loops read some channels of an array, and write some of another."""

import os
import threading

import chainer.functions as F
import engine_checks as engine
import numpy as np
import pytest

from chainer_zoo.engines.geometry import Geometry

pytest.importorskip('numba')


def convolve(kind, x, W, b, affine, out=None, epilogue=()):
    from chainer_zoo.engines.cpu.convolution import pointwise
    from chainer_zoo.engines.cpu.convolution import winograd

    pad = (W.shape[2] // 2, W.shape[3] // 2)
    geometry = Geometry(x.shape, W.shape, (len(x), len(W)) + x.shape[2:], pad=pad)
    algorithm = pointwise if kind == '1x1' else winograd
    return algorithm.forward(x, W, b, geometry, epilogue, affine, out)


def normal(seed, *shape):
    """Return float32 numbers, channels last."""
    return engine.layout(
        np.random.RandomState(seed).standard_normal(shape).astype('f'), 'channels last'
    )


def values(c, o, kind, seed=0):
    """Return weights, bias, scale and shift."""
    rng = np.random.RandomState(seed)
    k = int(kind[0])
    return (
        rng.standard_normal((o, c, k, k)).astype('f'),
        rng.standard_normal(o).astype('f'),
        rng.standard_normal((2, c)).astype('f'),
    )


def expected(x, W, b, affine=None):
    """Return Chainer's result in float64."""
    x = x.astype('d')
    if affine is not None:
        scale, shift = (a[:, None, None].astype('d') for a in affine)
        x = np.maximum(scale * x + shift, 0)
    return F.convolution_2d(x, W.astype('d'), b.astype('d'), pad=W.shape[2] // 2).array


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * max(1, abs(wanted).max()))


@pytest.mark.parametrize('kind', ['1x1', '3x3'])
@pytest.mark.parametrize('first, c, last, o', [(0, 3, 3, 4), (1, 5, 6, 2), (6, 2, 0, 6)])
@pytest.mark.parametrize('hw', [(6, 7), (1, 1), (5, 1)], ids=str)
def test_channels_of_one_array_become_others_and_no_more(kind, first, c, last, o, hw):
    whole = normal(1, 3, 9, *hw)
    before = whole.copy()
    W, b, affine = values(c, o, kind)
    affine = tuple(affine)
    y = expected(whole[:, first : first + c], W, b, affine)
    place = whole[:, last : last + o]
    assert convolve(kind, whole[:, first : first + c], W, b, affine, place) is place
    close(place, y)
    np.testing.assert_array_equal(whole[:, :last], before[:, :last])
    np.testing.assert_array_equal(whole[:, last + o :], before[:, last + o :])


@pytest.mark.parametrize('kind', ['1x1', '3x3'])
def test_a_sum_goes_where_the_result_goes(kind):
    from chainer_zoo.engines.cpu import primitive

    x, added = normal(1, 2, 3, 6, 5), normal(2, 2, 4, 6, 5)
    W, b, _ = values(3, 4, kind)
    whole = engine.layout(np.zeros((2, 7, 6, 5), np.float32), 'channels last')
    epilogue = [added, primitive.RELU]
    convolve(kind, x, W, b, None, whole[:, 2:6], epilogue)
    close(whole[:, 2:6], np.maximum(expected(x, W, b) + added, 0))
    assert not whole[:, :2].any() and not whole[:, 6:].any()


@pytest.mark.parametrize('kind', ['1x1', '3x3'])
def test_any_number_of_threads_gives_the_same(kind, threads, monkeypatch):
    from chainer_zoo.engines.cpu.convolution import pointwise

    monkeypatch.setattr(pointwise, '_LEAST_PIXELS', 4)
    monkeypatch.setattr(pointwise, '_FLOATS', 1)
    x = normal(1, 3, 5, 6, 7)
    W, b, affine = values(5, 4, kind)
    for n in (1, 2, 3, 16, 200):
        threads(n)
        close(convolve(kind, x, W, b, tuple(affine)), expected(x, W, b, affine))


@pytest.mark.parametrize('kind', ['1x1', '3x3'])
def test_two_python_threads_do_not_disturb_each_other(kind):
    found, wanted = {}, {}

    def work(seed):
        x = normal(seed, 4, 8, 16, 16)
        W, b, affine = values(8, 8, kind, seed)
        wanted[seed] = expected(x, W, b, affine)
        found[seed] = [convolve(kind, x, W, b, tuple(affine)) for _ in range(50)]

    workers = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for seed in (1, 2):
        assert len(found[seed]) == 50
        for y in found[seed]:
            close(y, wanted[seed])


@pytest.mark.parametrize('kind', ['1x1', '3x3'])
def test_a_fork_computes_the_same(kind, threads):
    if not hasattr(os, 'fork'):
        pytest.skip('no fork here')
    threads(2)
    x = normal(1, 4, 8, 8, 8)
    W, b, affine = values(8, 8, kind)
    y = convolve(kind, x, W, b, tuple(affine))
    child = os.fork()
    if not child:
        status = 1
        try:
            status = not np.allclose(convolve(kind, x, W, b, tuple(affine)), y, atol=1e-4)
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    'make, pitch',
    [
        (lambda x: x, 6),
        (lambda x: x[:, 1:3], 6),
        (lambda x: x[:, 5:], 6),
        (lambda x: x[:1, :2], 6),
        (lambda x: x[:, :2, :1, :1], 120),
        (lambda x: x[:, :2, :, :1], 30),
        (lambda x: x[:, :2, :1], 0),
        (lambda x: x[:, :2, :, :3], 0),
        (lambda x: x[:, ::2], 0),
        (lambda x: x[:, :2, :, ::-1], 0),
        (lambda x: x[:, ::-1], 0),
        (lambda x: x[::-1], 0),
        (lambda x: x[:, :2].copy(), 0),
        (lambda x: np.broadcast_to(x[:, :1], x.shape), 0),
    ],
)
def test_the_distance_of_pixels_is_found_where_there_is_one(make, pitch):
    from chainer_zoo.engines.cpu import memory

    x = make(engine.layout(np.zeros((3, 6, 4, 5), np.float32), 'channels last'))
    assert memory.pitch(x) == pitch
    assert (memory.to_pixels(x, 'test') is x) == bool(pitch)
    assert memory.pitch(memory.to_pixels(x, 'test'))
