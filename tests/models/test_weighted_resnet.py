"""Weighted residuals: alpha, where it starts and how it is trained."""

import chainer
import numpy as np
from analysable import at_test
from analysable import make_identity

import chainer_zoo
from chainer_zoo.models import weighted_resnet
from chainer_zoo.training.optimizer import make_optimizer
from chainer_zoo.training.optimizer import set_lr

X = np.arange(-8, 8, dtype=np.float32).reshape(1, 1, 4, 4)


def test_a_new_block_is_its_shortcut():
    block = weighted_resnet.WeightedBlock(1, 3, 2)
    y = at_test(block, X)
    assert y.shape == (1, 3, 2, 2)
    np.testing.assert_array_equal(y[0, 0], X[0, 0, ::2, ::2])
    np.testing.assert_array_equal(y[0, 1:], 0)


def test_alpha_multiplies_a_branch_that_is_at_least_0():
    block = make_identity(weighted_resnet.WeightedBlock(1, 1, 1))
    block.weight.weight.W.array[...] = -0.25
    # nothing is cut off after the sum
    np.testing.assert_allclose(at_test(block, X), X - 0.25 * np.maximum(X, 0), rtol=1e-4)


def test_alphas_gradient_is_the_sum_of_branch_times_gradient():
    alpha = weighted_resnet.Weight()
    alpha.cleargrads()
    x = chainer.Variable(X)
    y = alpha(x)
    y.grad = np.ones_like(X)
    y.backward()
    np.testing.assert_allclose(alpha.weight.W.grad, [[[[X.sum()]]]])
    np.testing.assert_array_equal(x.grad, 0)


def test_alpha_has_its_own_learning_rate():
    recipe = chainer_zoo.entry('weighted_resnet').recipe
    model = weighted_resnet.WeightedResNet(depth=10)
    optimizer = make_optimizer(recipe, model)
    for epoch, rate, alpha_rate in ((1, 0.1, 0.001), (82, 0.01, 0.0001)):
        set_lr(optimizer, recipe, epoch)
        for path, param in model.namedparams():
            expected = alpha_rate if path.endswith('/weight/weight/W') else rate
            np.testing.assert_allclose(param.update_rule.hyperparam.lr, expected, err_msg=path)
