"""The article's initialization."""

import pathlib

import chainer
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo import links
from chainer_zoo.errors import UserError

#: What the original's functions return after numpy.random.seed(0), by rule and shape.
with np.load(pathlib.Path(__file__).parent / 'golden' / 'init.npz') as npz:
    ORIGINAL = {key.replace('2_over_cin_whole', 'whole_2_over_cin'): npz[key] for key in npz.files}


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


@pytest.mark.parametrize('case', sorted(ORIGINAL))
def test_every_rule_gives_the_originals_weights(case):
    """Up to signs: another LAPACK may turn a singular vector around, a row or column at a time."""
    rule, shape = case.rsplit('_', 1)
    expected = ORIGINAL[case]
    assert shape == 'x'.join(map(str, expected.shape))
    w = np.empty(expected.shape, dtype=np.float32)
    initializers.HeOrthogonal(np.random.RandomState(0), rule)(w)
    np.testing.assert_allclose(w.std(), expected.std(), rtol=1e-5)
    np.testing.assert_allclose(w.mean(), 0, atol=1e-6)

    ours, theirs = (
        a.reshape(a.shape[:2] + (-1,)) if rule == 'per_channel' else a.reshape(1, len(a), -1)
        for a in (w, expected)
    )
    for one, other in zip(ours, theirs):
        if one.shape[0] >= one.shape[1]:  # the left factor: its vectors are columns
            one, other = one.T, other.T
        if one.shape[1] > 1:
            # the shift to mean 0 depends on all signs, and with it a little of the scale
            cosines = [np.corrcoef(vector, its)[0, 1] for vector, its in zip(one, other)]
            np.testing.assert_allclose(np.abs(cosines), 1, rtol=1e-5)


@pytest.mark.parametrize('rule', initializers.RULES)
def test_a_model_starts_by_the_rule_in_use(rule):
    with initializers.using_rule(rule):
        np.random.seed(2)
        model = chainer_zoo.build('densenet', depth=7, growth_rate=4)
    w = model.conv1.W.array
    expected = np.empty_like(w)
    initializers.HeOrthogonal(np.random.RandomState(2), rule)(expected)
    np.testing.assert_array_equal(w, expected)
    assert chainer.config.chainer_zoo_init == 'per_channel'


@pytest.mark.parametrize('rule', ['whole', 'whole_2_over_cin'])
def test_a_single_weight_is_filled_by_the_older_rules_too(rule):
    w = np.empty((1, 1, 1, 1), dtype=np.float32)
    initializers.HeOrthogonal(np.random.RandomState(0), rule)(w)
    np.testing.assert_allclose(np.abs(w), np.sqrt(2), rtol=1e-6)


def test_a_rule_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match='per_channel, whole, whole_2_over_cin, not .A.'):
        with initializers.using_rule('A'):
            pass
