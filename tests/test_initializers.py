"""The article's initialization."""

import chainer
import numpy as np
import pytest

from chainer_zoo import initializers
from chainer_zoo import links


def filled(shape, seed=0):
    array = np.empty(shape, dtype=np.float32)
    initializers.HeOrthogonal(np.random.RandomState(seed))(array)
    return array


@pytest.mark.parametrize(
    'shape',
    [(8, 3, 3, 3), (5, 9, 3, 3), (5, 16, 3, 3), (4, 7, 1, 1), (6, 12), (3, 2, 5, 5), (4, 4, 1, 7)],
)
def test_each_output_channel_has_hes_variance_and_mean_zero(shape):
    w = filled(shape).reshape(shape[0], -1)
    assert w.dtype == np.float32
    np.testing.assert_allclose(w.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(w.var(axis=1), 2 / w.shape[1], rtol=1e-4)


def original(seed, shape):
    """What the original's description gives, one output channel after the other."""
    rng = np.random.RandomState(seed)
    rows, columns = shape[1], int(np.prod(shape[2:], dtype=int))
    std = np.sqrt(2 / (rows * columns))
    channels = []
    for _ in range(shape[0]):
        u, _, v = np.linalg.svd(
            rng.normal(0, std, (rows, columns)).astype('f'), full_matrices=False
        )
        q = u if u.shape == (rows, columns) else v
        q = q / np.sqrt(np.var(q)) * std
        channels.append(q - np.mean(q))
    return np.reshape(channels, shape)


@pytest.mark.parametrize('shape', [(4, 3, 3, 3), (4, 9, 3, 3), (4, 20, 3, 3), (3, 6, 1, 1), (5, 8)])
def test_one_seed_gives_the_weights_of_the_loop_over_channels(shape):
    np.testing.assert_allclose(filled(shape, 3), original(3, shape), atol=1e-5)


def test_a_single_weight_keeps_its_sign_at_hes_size():
    np.testing.assert_allclose(np.abs(filled((6, 1, 1, 1))), np.sqrt(2), rtol=1e-6)


def test_links_start_with_it_and_with_biases_of_zero():
    np.random.seed(5)
    conv = links.Convolution2D(3, 4, 3, 1, 1)
    np.testing.assert_allclose(conv.W.array, original(5, (4, 3, 3, 3)), atol=1e-5)
    assert not conv.b.array.any()


def test_unfilled_leaves_the_memory_alone_in_this_thread_only():
    array = np.full((4, 3, 3, 3), 7, dtype=np.float32)
    with initializers.unfilled():
        initializers.HeOrthogonal()(array)
        assert (array == 7).all()
    initializers.HeOrthogonal()(array)
    assert not (array == 7).any()
    assert chainer.config.chainer_zoo_fill
