"""ResNet and its relatives without chance: stages by hand, depth and width."""

import numpy as np
import pytest
from analysable import at_test
from analysable import make_identity

from chainer_zoo import links
from chainer_zoo.models import preresnet
from chainer_zoo.models import resnet
from chainer_zoo.models import wide_resnet

X = np.array([[[[1, -1], [2, -2]]]], np.float32)


@pytest.mark.parametrize('depth, blocks', [(8, 1), (20, 3), (110, 18)])
def test_resnet_has_a_sixth_of_its_layers_in_blocks_a_stage(depth, blocks):
    model = resnet.ResNet(depth=depth)
    for stage in (model.res_block0, model.res_block1, model.res_block2):
        assert [child.name for child in stage.children()] == sorted(
            f'block{i}' for i in range(blocks)
        )


def test_resnet_halves_the_map_where_the_second_and_third_stage_begin():
    model = resnet.ResNet(depth=20, k=2)
    x = np.zeros((1, 3, 32, 32), np.float32)
    shapes = []
    h = model.conv1(x)
    for stage in (model.res_block0, model.res_block1, model.res_block2):
        h = stage(h)
        shapes.append(h.shape[1:])
    assert shapes == [(32, 32, 32), (64, 16, 16), (128, 8, 8)]
    assert [
        model[f'res_block{stage}'][f'block{block}'].stride
        for stage in range(3)
        for block in range(3)
    ] == [1, 1, 1, 2, 1, 1, 2, 1, 1]


def test_resnets_logits_have_passed_relu():
    model = make_identity(resnet.ResNet(n_class=16, depth=8))
    model.linear.bn.beta.array[...] = np.where(np.arange(16) < 8, -100, 100)
    y = at_test(model, np.zeros((1, 3, 32, 32), np.float32))
    np.testing.assert_array_equal(y[0] > 0, np.arange(16) >= 8)
    np.testing.assert_array_equal(y[0, :8], 0)


def test_preresnet_stage_by_hand():
    stage = make_identity(preresnet.PreResNetStage(1, 1, 1, 2))
    y = at_test(stage, X)
    # block 1: ReLU(x) + ReLU(x), the shortcut being activated; block 2: twice that
    np.testing.assert_allclose(y[0, 0], 4 * np.maximum(X[0, 0], 0), rtol=1e-4)
    assert y.shape == (1, 4, 2, 2)
    np.testing.assert_array_equal(y[0, 1:], 0)


def test_preresnet_has_relu_after_its_last_stage():
    model = make_identity(preresnet.PreResNet(n_class=2, depth=11))
    model.res_block3.bn_relu_conv3_1.conv.b.array[...] = -100
    model.bn_relu_conv.bn.beta.array[...] = 50
    x = np.zeros((1, 3, 32, 32), np.float32)
    np.testing.assert_allclose(at_test(model, x), [[50, 50]], rtol=1e-4)


def test_preresnet_averages_after_its_classifier():
    model = make_identity(preresnet.PreResNet(n_class=2, depth=11))
    x = np.zeros((1, 3, 32, 32), np.float32)
    x[0, 0, ::4, ::4] = 1  # the pixels that two shortcuts of stride 2 pick
    model.bn_relu_conv.bn.beta.array[...] = -7
    # 1 becomes 2, 4 and 8 in three blocks; -7 leaves 1 where it had been cut off at 0 if averaged
    np.testing.assert_allclose(at_test(model, x), [[1, 0]], rtol=1e-3)
    x[0, 0, ::8, ::4] = 0
    np.testing.assert_allclose(at_test(model, x), [[0.5, 0]], rtol=1e-3)


def test_wide_resnet_stage_by_hand():
    stage = make_identity(links.BasicStage(1, 2, 1, 2))
    y = at_test(stage, X)
    # what is negative gets past both blocks, as no ReLU follows a sum
    np.testing.assert_allclose(y[0, 0], [[4, -1], [8, -2]], rtol=1e-4)
    np.testing.assert_array_equal(y[0, 1], 0)


@pytest.mark.parametrize('depth, k, blocks', [(16, 2, 2), (28, 1, 4), (40, 1, 6)])
def test_wide_resnets_stages(depth, k, blocks):
    model = wide_resnet.WideResNet(depth=depth, k=k)
    h = model.conv1(np.zeros((1, 3, 8, 8), np.float32))
    assert h.shape == (1, 16, 8, 8)
    for stage, shape in (
        (model.wide_res_block1, (1, 16 * k, 8, 8)),
        (model.wide_res_block2, (1, 32 * k, 4, 4)),
        (model.wide_res_block3, (1, 64 * k, 2, 2)),
    ):
        h = stage(h)
        assert h.shape == shape
        assert len(list(stage.children())) == 2 * blocks
