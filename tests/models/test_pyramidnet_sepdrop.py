"""Separated stochastic depth: which half of a block is computed, and how often."""

import chainer
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo.functions import noise
from chainer_zoo.models import pyramidnet_sepdrop
from chainer_zoo.report import golden


class Draws:
    """Gives out numbers that were written down."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def uniform(self):
        return self.numbers.pop(0)


def block_of_known_numbers(stride=1, p=0.5):
    """A block of 1 old and 1 added channel, with convolutions that only add known numbers.

    Inside, the old channel is x + 1 and the added one 10 (BN idle at test); both are added to the
    old output, and the added output is the same sum and 100.
    """
    block = pyramidnet_sepdrop.SeparatedBlock(1, 2, stride, p)
    for link in block.links():
        if isinstance(link, chainer.links.BatchNormalization):
            link.avg_var[...] = 1 - link.eps
        elif isinstance(link, chainer.links.Convolution2D):
            link.W.array[...] = 0
    block.conv1.W.array[0, 0, 1, 1] = 1
    block.conv1.b.array[...] = 1
    block.conv1_expansion.b.array[...] = 10
    for conv in (block.conv2, block.conv2_expansion):
        conv.W.array[0, :, 1, 1] = 1
    block.conv2_expansion.b.array[...] = 100
    return block


def in_training(block, x, *draws):
    """Run a block with given draws, BN in test mode so that numbers can be followed."""
    old, noise.generator = noise.generator, Draws(*draws)
    for link in block.links():
        if isinstance(link, chainer.links.BatchNormalization):
            link.forward = lambda x, link=link: chainer.functions.fixed_batch_normalization(
                x, link.gamma, link.beta, link.avg_mean, link.avg_var, link.eps
            )
    try:
        with chainer.using_config('train', True):
            y = block(x)
        assert noise.generator.numbers == []
        return y
    finally:
        noise.generator = old


KEPT, DROPPED = 0.49, 0.51


@pytest.mark.parametrize(
    'old, added, expected',
    [
        (KEPT, KEPT, [3 + 14, 114]),  # 3 + (3 + 1 + 10), 100 + (3 + 1 + 10)
        (KEPT, DROPPED, [3 + 4]),  # the added channel counts as zero inside, and is not appended
        (DROPPED, KEPT, [3, 110]),
        (DROPPED, DROPPED, [3]),
    ],
)
def test_a_dropped_half_is_zero_inside_and_at_the_end(old, added, expected):
    x = np.full((2, 1, 4, 4), 3, np.float32)
    y = in_training(block_of_known_numbers(), x, old, added)
    y = y.array if isinstance(y, chainer.Variable) else y
    assert y.shape == (2, len(expected), 4, 4)
    for channel, value in enumerate(expected):
        np.testing.assert_allclose(y[:, channel], value, rtol=1e-5)


def test_at_test_both_halves_are_multiplied_by_their_survival_probability():
    x = np.full((1, 1, 2, 2), 3, np.float32)
    with chainer.using_config('train', False):
        y = block_of_known_numbers(p=0.75)(x).array
    np.testing.assert_allclose(y[0, 0], 3 + 0.75 * 14, rtol=1e-5)
    np.testing.assert_allclose(y[0, 1], 0.75 * 114, rtol=1e-5)


def test_without_noise_both_halves_are_kept_unscaled():
    x = np.full((1, 1, 2, 2), 3, np.float32)
    with chainer_zoo.no_noise():
        y = in_training(block_of_known_numbers(p=0.0), x).array
    np.testing.assert_allclose(y[0, :, 0, 0], [17, 114], rtol=1e-5)


def test_a_block_that_is_dropped_whole_does_not_stride():
    x = np.zeros((1, 1, 4, 4), np.float32)
    assert in_training(block_of_known_numbers(2), x, DROPPED, DROPPED).shape == (1, 1, 4, 4)
    assert in_training(block_of_known_numbers(2), x, KEPT, DROPPED).shape == (1, 1, 2, 2)


@pytest.mark.parametrize('old, added', [(KEPT, DROPPED), (DROPPED, KEPT), (DROPPED, DROPPED)])
def test_a_dropped_half_has_no_gradient(old, added):
    block = block_of_known_numbers()
    block.cleargrads()
    y = in_training(block, chainer.Variable(np.ones((2, 1, 4, 4), np.float32)), old, added)
    chainer.functions.sum(y).backward()
    for path, param in block.namedparams():
        alive = added if '_expansion' in path else old
        assert (param.grad is not None) == (alive == KEPT), path


def test_each_half_survives_independently_with_its_probability(monkeypatch):
    block = pyramidnet_sepdrop.SeparatedBlock(1, 2, 1, 0.7)
    computed = []  # for each draw, the first convolutions that ran
    for name in ('conv1', 'conv1_expansion'):

        def forward(x, name=name, forward=block[name].forward):
            computed[-1].add(name)
            return forward(x)

        monkeypatch.setattr(block[name], 'forward', forward)
    x = np.ones((2, 1, 1, 1), np.float32)
    noise.generator.seed(3)
    with chainer.using_config('train', True), chainer.no_backprop_mode():
        for _ in range(800):
            computed.append(set())
            block(x)
    # The standard deviation of each share is less than 0.018.
    for kept, expected in (
        ({'conv1'}, 0.7),
        ({'conv1_expansion'}, 0.7),
        ({'conv1', 'conv1_expansion'}, 0.49),
    ):
        assert abs(np.mean([kept <= names for names in computed]) - expected) < 0.06


def test_survival_probability_ends_at_a_half():
    model = chainer_zoo.build('pyramidnet_sepdrop', depth=14, alpha=6)
    np.testing.assert_allclose(
        [model[path].p for path in model.paths], 1 - 0.5 * np.arange(1, 7) / 6, rtol=1e-12
    )


def test_a_seed_repeats_a_training_pass_and_any_draw_gives_logits():
    model = chainer_zoo.build('pyramidnet_sepdrop', depth=14, alpha=20, initial_channel=4)
    x, _ = golden.batch(0, 2, 16)
    seen = set()
    with chainer.using_config('train', True):
        for seed in list(range(6)) * 2:
            noise.generator.seed(seed)
            y = model(x).array
            assert y.shape == (2, 10) and np.isfinite(y).all()
            seen.add((seed, y.tobytes()))
    assert len(seen) == 6


def test_a_pyramid_with_blocks_that_add_no_channel_is_refused():
    with pytest.raises(chainer_zoo.errors.UserError, match='alpha must be at least 90'):
        chainer_zoo.build('pyramidnet_sepdrop', alpha=89)
