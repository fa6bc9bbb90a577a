"""Residual blocks with identity kernels, so that their output is known by hand."""

import chainer
import numpy as np
import pytest
from analysable import at_test
from analysable import make_identity

from chainer_zoo import links
from chainer_zoo.sequence import in_sequence

X = np.array([[[[1, -2, 3, -4], [-5, 6, -7, 8], [2, -1, 0, 3], [-2, 4, -6, 5]]]], np.float32)


@pytest.mark.parametrize('scale', [1.0, 0.5])
def test_basic_block_has_relu_after_the_sum(scale):
    block = make_identity(links.BasicBlock(1, 1))
    positive, negative = np.maximum(X, 0), np.minimum(X, 0)
    # the branch is ReLU(x); the ReLU after the sum leaves nothing of what is negative
    np.testing.assert_allclose(at_test(block, X, scale), (1 + scale) * positive, atol=1e-4)
    np.testing.assert_array_equal(at_test(block, negative, scale), 0)


def test_basic_block_strides_in_its_second_convolution():
    block = make_identity(links.BasicBlock(1, 3, 2))
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))
    y = at_test(block, X)
    assert y.shape == (1, 3, 2, 2)
    np.testing.assert_allclose(y[0, 0], 2 * np.maximum(X[0, 0, ::2, ::2], 0), atol=1e-4)
    np.testing.assert_array_equal(y[0, 1:], 0)


def test_chained_blocks_run_in_order():
    class Append(chainer.Link):
        def __init__(self, digit):
            super().__init__()
            self.digit = digit

        def forward(self, x):
            return 10 * x + self.digit

    stage = links.ChainedBlocks((Append(i % 10) for i in range(12)), 'part')
    assert stage(np.array(0)).array == 12345678901
    assert stage.part11.digit == 1


class TestBottleneckStage:
    @pytest.fixture
    def stage(self):
        stage = make_identity(links.BottleneckStage(1, 1, 2, 2))
        stage.skip_bn.beta.array[...] = -2
        return stage

    def test_branch_starts_with_bn_relu_and_ends_four_times_as_wide(self, stage):
        y = at_test(lambda x: in_sequence(x, *stage.branch(1)), X)
        assert y.shape == (1, 4, 2, 2)
        np.testing.assert_allclose(y[0, 0], np.maximum(X[0, 0, ::2, ::2], 0), atol=1e-4)
        np.testing.assert_array_equal(y[0, 1:], 0)

    def test_first_shortcut_has_bn_and_relu_of_its_own(self, stage):
        y = at_test(lambda x: stage.skip(x, 1), X)
        assert y.shape == (1, 4, 2, 2)
        np.testing.assert_allclose(y[0, 0], np.maximum(X[0, 0, ::2, ::2] - 2, 0), atol=1e-4)
        np.testing.assert_array_equal(y[0, 1:], 0)

    def test_other_shortcuts_are_the_identity(self, stage):
        x = chainer.Variable(np.zeros((1, 4, 2, 2), np.float32))
        assert stage.skip(x, 2) is x
