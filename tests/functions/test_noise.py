"""The noise generator, and whether what it draws is as random as it says.

Every statistical test has a fixed seed and the level 1e-6: were the numbers ideal, a test would
fail for one seed in a million. A chi-square with one degree of freedom has the tail
erfc(sqrt(x / 2)).
"""

import math
import threading

import chainer
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo.errors import UserError
from chainer_zoo.functions import dropout
from chainer_zoo.functions import noise
from chainer_zoo.functions import separated_drop_path
from chainer_zoo.functions import survives
from chainer_zoo.functions import swapout
from chainer_zoo.functions.swapout import SwapoutGrad

LEVEL = 1e-6
MANY = 10**7


@pytest.fixture(autouse=True)
def seeded():
    state = noise.generator.state()
    noise.generator.seed(20161)
    with chainer.using_config('train', True):
        yield
    noise.generator.restore(state)


def assert_rate(kept, count, p):
    """Two-sided normal test of a rate, at LEVEL."""
    z = (kept - count * p) / math.sqrt(count * p * (1 - p))
    assert math.erfc(abs(z) / math.sqrt(2)) > LEVEL, f'{kept} of {count}, expected {p}: z = {z:.2f}'


def assert_independent(a, b):
    """Chi-square test of two arrays of bool on their 2 x 2 table, at LEVEL."""
    a, b = np.ravel(a), np.ravel(b)
    n = a.size
    both, in_a, in_b = (float(np.count_nonzero(v)) for v in (a & b, a, b))
    chi2 = n * (n * both - in_a * in_b) ** 2 / (in_a * (n - in_a) * in_b * (n - in_b))
    assert math.erfc(math.sqrt(chi2 / 2)) > LEVEL, f'chi-square {chi2:.1f}'


def masks(theta1, theta2, size, key=None):
    """Return where swapout keeps x and where it keeps f."""
    ones = np.ones(size, 'f')
    gx, gf = SwapoutGrad(theta1, theta2, key or noise.generator.next_key()).apply((ones,))
    return gx.array != 0, gf.array != 0


@pytest.mark.parametrize('ratio', [0.1, 0.25, 0.5, 0.9])
def test_dropout_keeps_its_share_of_ten_million(ratio):
    y = dropout(np.ones(MANY, 'f'), ratio).array
    kept = y != 0
    assert_rate(np.count_nonzero(kept), MANY, 1 - ratio)
    np.testing.assert_array_equal(y[kept], np.float32(1 / (1 - ratio)))


@pytest.mark.parametrize('theta1,theta2', [(0.1, 0.4), (0.5, 0.5)])
def test_swapout_keeps_its_shares_and_its_masks_are_independent(theta1, theta2):
    m1, m2 = masks(theta1, theta2, MANY)
    assert_rate(np.count_nonzero(m1), MANY, 1 - theta1)
    assert_rate(np.count_nonzero(m2), MANY, 1 - theta2)
    assert_independent(m1, m2)


@pytest.mark.parametrize('apart', [1, 2, 3, 4, 7, 8, 32, 1024, 65536])
def test_neighbouring_elements_are_independent(apart):
    """In a row, from row to row, from channel to channel, and from image to image."""
    for mask in masks(0.5, 0.3, MANY // 2):
        assert_independent(mask[apart:], mask[:-apart])


def test_a_mask_is_independent_of_the_other_at_the_next_element():
    m1, m2 = masks(0.5, 0.3, MANY // 2)
    assert_independent(m1[1:], m2[:-1])
    assert_independent(m1[:-1], m2[1:])


@pytest.mark.parametrize('other', [(20161, 1), (20162, 0), (0, 20161), (20161 + 2**63, 0)])
def test_another_draw_or_seed_gives_an_independent_mask(other):
    for a, b in zip(masks(0.5, 0.3, MANY // 2, (20161, 0)), masks(0.5, 0.3, MANY // 2, other)):
        assert not np.array_equal(a, b)
        assert_independent(a, b)


@pytest.mark.parametrize('byte', range(4))
def test_all_bytes_of_a_lane_are_uniform(byte):
    """Chi-square over 256 values; 255 degrees of freedom, Wilson and Hilferty's approximation."""
    from chainer_zoo.functions import _philox

    lanes = _philox.lanes((20161, 0), 0, MANY)
    counts = np.bincount((lanes >> np.uint32(8 * byte)) & np.uint32(255), minlength=256)
    chi2 = float(((counts - MANY / 256.0) ** 2).sum() / (MANY / 256.0))
    z = ((chi2 / 255) ** (1 / 3.0) - (1 - 2 / (9 * 255.0))) / math.sqrt(2 / (9 * 255.0))
    assert math.erfc(abs(z) / math.sqrt(2)) > LEVEL


def test_survival_of_whole_batches():
    count = 20000
    for p in (0.2, 0.5, 0.9):
        lives = np.array([survives(p) for _ in range(count)])
        assert_rate(np.count_nonzero(lives), count, p)
        assert_independent(lives[1:], lives[:-1])


def test_two_groups_of_a_batch_are_dropped_independently():
    x, h = np.zeros((1, 1, 1, 1), 'f'), np.ones((1, 2, 1, 1), 'f')
    kept = np.array([separated_drop_path(h, x, 0.6, 1).array.ravel() for _ in range(10000)]) != 0
    assert_rate(np.count_nonzero(kept[:, 0]), len(kept), 0.6)
    assert_rate(np.count_nonzero(kept[:, 1]), len(kept), 0.6)
    assert_independent(kept[:, 0], kept[:, 1])


def test_two_groups_of_an_image_are_dropped_independently():
    images = 1000000
    x, h = np.zeros((images, 1, 1, 1), 'f'), np.ones((images, 2, 1, 1), 'f')
    kept = separated_drop_path(h, x, 0.6, 1, per_image=True).array.reshape(-1, 2) != 0
    assert_rate(np.count_nonzero(kept[:, 0]), images, 0.6)
    assert_rate(np.count_nonzero(kept[:, 1]), images, 0.6)
    assert_independent(kept[:, 0], kept[:, 1])
    assert_independent(kept[1:, 0], kept[:-1, 0])


def test_uniform_is_uniform():
    u = np.array([noise.generator.uniform() for _ in range(50000)])
    assert 0 <= u.min() and u.max() < 1
    z = (u.mean() - 0.5) * math.sqrt(12 * u.size)
    assert math.erfc(abs(z) / math.sqrt(2)) > LEVEL
    for bit in range(1, 53):
        assert_rate(np.count_nonzero((u * 2.0**bit).astype('u8') & np.uint64(1)), u.size, 0.5)


def test_the_same_seed_repeats_and_another_does_not():
    x = np.ones((4, 3, 8, 8), 'f')

    def run(seed):
        noise.generator.seed(seed)
        return np.array([dropout(x, 0.5).array, swapout(x, x, 0.3, 0.5).array])

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


def test_each_use_takes_the_next_draw():
    x = np.ones((4, 3, 8, 8), 'f')
    before = noise.generator.state()
    first, second = dropout(x, 0.5).array, dropout(x, 0.5).array
    assert noise.generator.state() == (before[0], before[1] + 2)
    assert not np.array_equal(first, second)
    noise.generator.restore(before)
    np.testing.assert_array_equal(dropout(x, 0.5).array, first)


@pytest.mark.parametrize('seed', [0, 7, 2**63 + 5, 2**64 - 1])
def test_a_snapshot_goes_on_where_it_was_taken(tmp_path, seed):
    noise.generator.seed(seed)
    noise.generator.uniform()
    chainer.serializers.save_npz(str(tmp_path / 'noise.npz'), noise.generator)
    expected = [noise.generator.uniform() for _ in range(3)]
    other = noise.NoiseGenerator(1)
    chainer.serializers.load_npz(str(tmp_path / 'noise.npz'), other)
    assert [other.uniform() for _ in range(3)] == expected
    assert other.state() == noise.generator.state()


def test_threads_never_share_a_draw():
    keys = [[] for _ in range(4)]

    def draw(mine):
        for _ in range(5000):
            mine.append(noise.generator.next_key())

    threads = [threading.Thread(target=draw, args=(mine,)) for mine in keys]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len({key for mine in keys for key in mine}) == 20000
    assert noise.generator.state() == (20161, 20000)


def test_noise_is_off_in_test_mode_and_where_it_is_switched_off():
    x, f = chainer.Variable(np.ones((2, 3), 'f')), np.full((2, 3), 2, 'f')
    before = noise.generator.state()
    with chainer_zoo.no_noise():
        assert not noise.is_on()
        np.testing.assert_array_equal(swapout(x, f, 0.5, 0.5).array, 3)
        assert dropout(x, 0.5) is x and survives(0.0)
    assert noise.is_on()
    with chainer.using_config('train', False):
        assert not noise.is_on()
        np.testing.assert_array_equal(swapout(x, f, 0.5, 0.5).array, 3)
        assert dropout(x, 0.5) is x and survives(0.0)
    assert noise.generator.state() == before


def test_swapout_samples_in_test_mode_where_it_is_asked_to():
    x = np.ones((2, 3, 16, 16), 'f')
    with chainer.using_config('train', False):
        y = swapout(x, x, 0.5, 0.5, sample=True).array
        assert set(np.unique(y)) == {0, 2, 4}
        with chainer_zoo.no_noise():
            np.testing.assert_array_equal(swapout(x, x, 0.5, 0.5, sample=True).array, 2)


def test_no_noise_acts_in_its_thread_only():
    seen = []
    with chainer_zoo.no_noise():
        t = threading.Thread(target=lambda: seen.append(chainer.config.chainer_zoo_noise))
        t.start()
        t.join()
    assert seen == [True]


def test_wrong_arguments_say_so():
    x = np.ones((2, 3, 4, 4), 'f')
    for seed in (-1, 2**64):
        with pytest.raises(UserError, match=f'seed is {seed}'):
            noise.generator.seed(seed)
    with pytest.raises(UserError, match='dropout ratio is 1'):
        dropout(x, 1)
    with pytest.raises(UserError, match='theta2 is -0.1'):
        swapout(x, x, 0.5, -0.1)
    with pytest.raises(UserError, match='survival probability is 1.5'):
        survives(1.5)
    with pytest.raises(UserError, match='ratio is nan'):
        dropout(x, float('nan'))
    with pytest.raises(UserError, match='3 of 3 channels'):
        separated_drop_path(x, x, 0.5, 3)
