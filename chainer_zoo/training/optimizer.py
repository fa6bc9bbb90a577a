"""From a recipe to Chainer's optimizer."""

from __future__ import annotations

from typing import Any

import chainer
import numpy as np
from chainer import optimizer_hooks
from chainer import optimizers
from chainer.optimizers.momentum_sgd import MomentumSGDRule

from chainer_zoo.catalog import Recipe


def _is_plain(param):
    """Return whether a parameter and its gradient are float32 arrays on a CPU as they stand.

    Numbers without an axis are none: NumPy 1 computes with them in float64.
    """
    return (
        param.layout is None
        and param._loss_scale is None
        and all(
            [
                type(x) is np.ndarray and x.dtype == np.float32 and x.ndim
                for x in (param.array, param.grad)
            ]
        )
    )


class _Rule(MomentumSGDRule):
    """Chainer's rule, in half the time for a small float32 parameter on a CPU."""

    def update(self, param):
        v = self.state and self.state.get('v')
        hyper = self.hyperparam
        lr, momentum = hyper.lr, hyper.momentum
        if (
            not _is_plain(param)
            or type(v) is not np.ndarray
            or v.dtype != np.float32
            or not (self.enabled and type(lr) is type(momentum) is float)
            or self._hookable._pre_update_hooks
            or self._hookable._post_update_hooks
        ):
            super().update(param)
            return
        self.t += 1
        x = param.array
        v *= np.float32(momentum)
        v -= np.float32(lr) * param.grad
        x += v


class MomentumSGD(optimizers.MomentumSGD):
    """Chainer's momentum SGD, with less Python for each parameter.

    On a CPU, what Chainer does around the arithmetic takes longer than that where parameters are
    many and small. The arithmetic is its own, in its order, so all numbers are the same.

    Args:
        lr (float): Learning rate.
        momentum (float): What a step keeps of the one before.
    """

    def create_update_rule(self):
        """Return the rule for one parameter."""
        return _Rule(self.hyperparam)

    def reallocate_cleared_grads(self):
        """Give zeros to parameters without a gradient, if there are any."""
        if any([param.layout is not None or param.grad is None for param in self.target.params()]):
            super().reallocate_cleared_grads()

    def call_hook(self, hook):
        """Call a hook; weight decay is computed here."""
        if type(hook) is not optimizer_hooks.WeightDecay or type(hook.rate) is not float:
            super().call_hook(hook)
            return
        rate = np.float32(hook.rate)
        for param in self.target.params():
            if _is_plain(param):
                grad = param.grad
                grad += param.array * rate
            else:
                hook(param.update_rule, param)


class SkippingMomentumSGD(MomentumSGD):
    """Momentum SGD that leaves parameters without a gradient alone.

    When a block is dropped for a batch its parameters have no gradient. Chainer's momentum SGD
    takes zeros for it, so momentum and weight decay would still move them; the original does not
    update such parameters at all (one optimizer a link, skipped without a gradient).
    """

    def update(self, *args, **kwds):
        """Update the parameters that have a gradient; see Chainer's method."""
        dropped = [
            param.update_rule
            for param in self.target.params()
            if param.grad is None and param.update_rule.enabled  # what is frozen stays frozen
        ]
        for rule in dropped:
            rule.enabled = False
        try:
            super().update(*args, **kwds)
        finally:
            for rule in dropped:
                rule.enabled = True


def make_optimizer(
    recipe: Recipe, model: chainer.Chain, lr: float | None = None, mixed16: bool = False
) -> chainer.GradientMethod:
    """Return the optimizer of ``recipe``, set up for ``model`` and its first epoch.

    Args:
        recipe: the model's recipe.
        model: the model.
        lr: the learning rate to start from, if not the recipe's.
        mixed16: update float16 parameters in float32, with dynamic loss scaling.

    Returns:
        The optimizer, with weight decay and then clipping as hooks.
    """
    optimizer: Any
    if recipe.optimizer == 'RMSprop':
        optimizer = optimizers.RMSprop(
            alpha=recipe.rms_decay, eps=recipe.rms_epsilon, eps_inside_sqrt=True
        )
    elif recipe.skip_dropped:
        optimizer = SkippingMomentumSGD(momentum=recipe.momentum)
    else:
        optimizer = MomentumSGD(momentum=recipe.momentum)
    if mixed16:
        optimizer.use_fp32_update()
    optimizer.setup(model)
    if mixed16:
        optimizer.loss_scaling()
    if recipe.weight_decay:
        optimizer.add_hook(optimizer_hooks.WeightDecay(recipe.weight_decay))
    if recipe.clip is not None:
        optimizer.add_hook(optimizer_hooks.GradientClipping(recipe.clip))
    set_lr(optimizer, recipe, 1, lr)
    return optimizer


def set_lr(optimizer: Any, recipe: Recipe, epoch: int, lr: float | None = None) -> None:
    """Set the learning rate of ``epoch``, from 1 on; see :func:`make_optimizer`."""
    optimizer.lr = recipe.lr_at(epoch, lr)
    if recipe.alpha_lr is not None:
        for param in optimizer.target.alphas():
            param.update_rule.hyperparam.lr = recipe.alpha_lr_at(epoch)
