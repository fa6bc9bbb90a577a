"""The shape of the pyramid and its block."""

import chainer
import numpy as np
import pytest

from chainer_zoo.models import pyramidnet


def test_widths_grow_by_alpha_over_all_blocks_and_are_rounded_down():
    blocks = pyramidnet.pyramid(20, 10, 16)  # 9 blocks, 10 / 9 channels each
    assert [out for _, _, out, _ in blocks] == [17, 18, 19, 20, 21, 22, 23, 24, 26]
    assert [in_ for _, in_, _, _ in blocks] == [16, 17, 18, 19, 20, 21, 22, 23, 24]
    strided = [path for path, _, _, stride in blocks if stride == 2]
    assert strided == ['res_block1_0', 'res_block2_0']


@pytest.mark.parametrize('depth, alpha, blocks, last', [(110, 270, 54, 286), (182, 150, 90, 166)])
def test_the_papers_pyramids(depth, alpha, blocks, last):
    shape = pyramidnet.pyramid(depth, alpha, 16)
    assert len(shape) == blocks and shape[-1][2] == last
    assert all(out > in_ for _, in_, out, _ in shape)


def test_a_block_has_one_relu_and_none_after_the_sum():
    block = pyramidnet.PyramidBlock(1, 2, stride=2)
    for bn in (block.bn1, block.bn2, block.bn3):
        bn.avg_var[...] = 1 - bn.eps
    for conv in (block.conv1, block.conv2):
        conv.W.array[...] = 0
    block.conv1.W.array[:, 0, 1, 1] = 1, -1
    block.conv2.W.array[0, 0, 1, 1] = 1
    block.conv2.W.array[1, 1, 1, 1] = 1
    x = np.array([[-1, 9], [9, 9]], np.float32).reshape(1, 1, 2, 2)
    with chainer.using_config('train', False):
        y = block(x).array
    # Every second pixel: relu(-1) + (-1) where the input is, relu(1) + 0 in the added channel.
    np.testing.assert_allclose(y.ravel(), [-1, 1], rtol=1e-5)
