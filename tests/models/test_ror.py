"""RoR's levels: projections whose stride depends on what was dropped."""

import chainer
import numpy as np
import pytest
from analysable import at_test
from analysable import make_identity

import chainer_zoo
from chainer_zoo.functions import noise
from chainer_zoo.models import ror

X = np.arange(-8, 8, dtype=np.float32).reshape(1, 1, 4, 4)


@pytest.mark.parametrize('stride', [1, 2, 4])
def test_projection_normalizes_all_pixels_and_picks_some(stride):
    projection = ror.Projection(1, 1)
    projection.conv.W.array[...] = 1
    with chainer.using_config('train', True):
        y = projection(X, stride).array
    normal = (X - X.mean()) / np.sqrt(X.var() + 2e-5)
    np.testing.assert_allclose(y, np.maximum(normal, 0)[:, :, ::stride, ::stride], rtol=1e-5)


@pytest.mark.parametrize('dropped, side, channels', [(False, 2, 3), (True, 4, 3)])
def test_a_stage_without_its_first_block_keeps_its_size_and_adds_channels(
    monkeypatch, dropped, side, channels
):
    monkeypatch.setattr(noise.generator, 'uniform', lambda: 0.9 if dropped else 0.0)
    stage = ror.RoRStage(1, channels, 2, [0.5])
    with chainer.using_config('train', True):
        assert stage(X).shape == (1, channels, side, side)


def test_a_stage_by_hand():
    stage = make_identity(ror.RoRStage(1, 1, 1, [1.0, 1.0]))
    # each block adds ReLU of its input, the level's shortcut ReLU of the stage's
    np.testing.assert_allclose(at_test(stage, X), np.where(X > 0, 4 * X + X, X), rtol=1e-4)


def test_only_a_block_that_adds_channels_has_a_projection():
    blocks = [ror.RoRBlock(2, 2, 1), ror.RoRBlock(2, 3, 2)]
    assert [hasattr(block, 'projection') for block in blocks] == [False, True]
    block = make_identity(blocks[1])
    y = at_test(block, np.concatenate((X, -X), 1))
    assert y.shape == (1, 3, 2, 2)
    # branch and projection both are ReLU of every second pixel
    np.testing.assert_allclose(y[0, 0], 2 * np.maximum(X[0, 0, ::2, ::2], 0), rtol=1e-4)
    np.testing.assert_array_equal(y[0, 2], 0)


@pytest.mark.parametrize(
    'second, third', [(False, False), (True, False), (False, True), (True, True)]
)
def test_projection_strides_follow_the_dropped_blocks(monkeypatch, second, third):
    strides = []
    forward = ror.Projection.forward

    def recorded(self, x, stride):
        strides.append(stride)
        return forward(self, x, stride)

    monkeypatch.setattr(ror.Projection, 'forward', recorded)
    model = chainer_zoo.build('ror', depth=8, k=1)
    draws = iter([0.0, 0.999 if second else 0.0, 0.999 if third else 0.0])
    monkeypatch.setattr(noise.generator, 'uniform', lambda: next(draws))
    with chainer.using_config('train', True):
        model(np.zeros((2, 3, 32, 32), np.float32))
    at_second, at_third = 1 if second else 2, 1 if third else 2
    # a block's own projection runs where it survives; then each stage's; the root's in the end
    assert strides == (
        [1]
        + ([] if second else [2])
        + [at_second]
        + ([] if third else [2])
        + [at_third]
        + [at_second * at_third]
    )
    for link in model.links():
        if isinstance(link, ror.Projection):
            assert link.conv.stride == (1, 1)
