"""FractalNet's joins and what drop-path leaves of them."""

import chainer
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo.functions import noise
from chainer_zoo.models import fractalnet
from chainer_zoo.models.fractalnet import AlivePaths
from chainer_zoo.models.fractalnet import LAYER


class Draws:
    """Gives out numbers that were written down."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def uniform(self):
        return self.numbers.pop(0)


@pytest.fixture
def draws(monkeypatch):
    def use(*numbers):
        source = Draws(*numbers)
        monkeypatch.setattr(noise, 'generator', source)
        return source

    return use


def paths(alive, columns=3):
    """Return how many ways lead through a fractal; fail where a join has none."""
    if columns == 1:
        assert alive == LAYER
        return 1
    assert alive.short or alive.long
    through = int(alive.short)
    if alive.long:
        assert len(alive.long) == 2
        through += paths(alive.long[0], columns - 1) * paths(alive.long[1], columns - 1)
    return through


def drawn(count, draw, *arguments):
    noise.generator.seed(1)
    with chainer.using_config('train', True):
        return [draw(*arguments) for _ in range(count)]


def test_no_join_loses_all_its_inputs_in_10000_draws():
    alive = drawn(10000, fractalnet.drop_path, 3)
    assert all(paths(a) >= 1 for a in alive)
    # The single layer, or two halves of 3 possibilities each, with the single layer or without it.
    assert len(set(alive)) == 1 + 3 * 3 * 2


def test_global_drop_path_keeps_each_column_equally_often():
    alone = [fractalnet.single_column(3, column) for column in (1, 2, 3)]
    assert [paths(a) for a in alone] == [1, 1, 1]
    assert alone[0] == LAYER and alone[2].long[0].long == (LAYER, LAYER)
    alive = drawn(12000, fractalnet.drop_path, 3, 1.0)
    shares = [np.mean([a == column for a in alive]) for column in alone]
    np.testing.assert_allclose(shares, 1 / 3.0, atol=0.02)


def test_local_drop_path_drops_as_often_as_its_ratio_says():
    # With 2 columns a draw is refused only where both inputs of the one join are dropped.
    alive = drawn(20000, fractalnet.local_drop_path, 2, 0.15)
    expected = 0.85 / (1 - 0.15**2)
    assert abs(np.mean([a.short for a in alive]) - expected) < 0.012
    assert abs(np.mean([a.long is not None for a in alive]) - expected) < 0.012


def test_the_same_seed_draws_the_same_paths():
    assert drawn(50, fractalnet.drop_path, 3) == drawn(50, fractalnet.drop_path, 3)


def test_without_noise_nothing_is_drawn_and_all_is_alive(draws):
    draws()
    with chainer.using_config('train', False):
        assert paths(fractalnet.drop_path(3)) == 5
    with chainer.using_config('train', True), chainer_zoo.no_noise():
        assert paths(fractalnet.drop_path(3)) == 5


def test_a_dead_half_drops_the_other_and_a_dead_fractal_is_redrawn(draws):
    dead_half = (0.9, 0.9, 0.1, 0.1, 0.9, 0.9)  # long, short; first half: none; second half
    source = draws(*dead_half)
    assert fractalnet.local_drop_path(3, 0.15) == AlivePaths(True, None)
    assert source.numbers == []
    whole_fractal_dead = (0.9, 0.1, 0.1, 0.15, 0.9, 0.9)
    draws(*(whole_fractal_dead + (0.1, 0.9, 0.9, 0.9, 0.9, 0.9)))
    assert fractalnet.local_drop_path(3, 0.15) == AlivePaths(True, None)


def fractal_of_known_layers(columns=3):
    """A fractal of 1 channel whose every layer adds 1 to what is at least 0 in test mode."""
    block = fractalnet.fractal(columns, 1, 1, 0.0)
    for link in block.links():
        if isinstance(link, chainer.links.Convolution2D):
            link.W.array[...] = 0
            link.W.array[0, 0, 1, 1] = 1
            link.b.array[...] = 1
        if isinstance(link, chainer.links.BatchNormalization):
            link.avg_var[...] = 1 - link.eps
    return block


@pytest.mark.parametrize(
    'alive, layers',
    [
        (fractalnet.whole(3), (1 + (1 + 2) / 2.0 * 2) / 2),
        (fractalnet.single_column(3, 1), 1),
        (fractalnet.single_column(3, 2), 2),
        (fractalnet.single_column(3, 3), 4),
        (
            AlivePaths(True, (AlivePaths(True, None), AlivePaths(False, (LAYER, LAYER)))),
            (1 + (1 + 2)) / 2.0,
        ),
    ],
)
def test_a_join_is_the_mean_of_what_is_alive(alive, layers):
    x = np.full((1, 1, 4, 4), 3, np.float32)
    with chainer.using_config('train', False):
        y = fractal_of_known_layers()(x, alive)
    np.testing.assert_allclose(y.array, 3 + layers, rtol=1e-5)


def test_a_dropped_path_is_not_computed_and_gets_no_gradient():
    block = fractalnet.fractal(3, 2, 2, 0.0)
    block.cleargrads()
    x = np.random.RandomState(0).standard_normal((2, 2, 4, 4)).astype(np.float32)
    with chainer.using_config('train', True):
        chainer.functions.sum(block(x, fractalnet.single_column(3, 2)) ** 2).backward()
    with_gradient = {
        path.split('/conv_bn_relu')[0]
        for path, param in block.namedparams()
        if param.grad is not None
    }
    assert with_gradient == {'/f3_1/f1', '/f3_2/f1'}
