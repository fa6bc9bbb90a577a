"""A short run that goes through the whole schedule of learning rates."""

import types

import numpy as np
import pytest

from chainer_zoo import catalog
from chainer_zoo.errors import UserError
from chainer_zoo.training.extensions import WholeSchedule
from chainer_zoo.training.optimizer import make_optimizer
from chainer_zoo.training.run import train
from chainer_zoo.training.settings import Settings
from chainer_zoo.training.stopping import Stop


def trainer_at(iteration, seconds=0.0, optimizer=None):
    """What the extension and the stop ask of a trainer."""
    updater = types.SimpleNamespace(iteration=iteration, get_optimizer=lambda name: optimizer)
    return types.SimpleNamespace(updater=updater, elapsed_time=seconds)


@pytest.mark.parametrize(
    'iterations,seconds,at,expected',
    [
        (100, None, (0, 7.0), 0.0),
        (100, None, (25, 7.0), 0.25),
        (100, None, (100, 7.0), 1.0),
        (None, 60.0, (25, 30.0), 0.5),
        (None, 60.0, (25, 90.0), 1.0),
        (100, 60.0, (25, 30.0), 0.5),
        (100, 60.0, (75, 30.0), 0.75),
        (None, None, (25, 30.0), 0.0),
    ],
)
def test_what_is_further_says_how_much_of_a_run_is_over(iterations, seconds, at, expected):
    assert Stop(300, iterations, seconds).progress(trainer_at(*at)) == expected


@pytest.mark.parametrize('name', ['resnext', 'preresnet', 'vgg_a'])
def test_every_learning_rate_of_the_recipe_comes_in_its_share_of_the_run(name):
    recipe = catalog.entry(name).recipe
    optimizer = make_optimizer(recipe, catalog.build('nin'), 0.3)
    updates = 4 * recipe.epochs
    schedule = WholeSchedule(recipe, 0.3, Stop(1, updates))
    found = []
    for iteration in range(updates):
        schedule(trainer_at(iteration, optimizer=optimizer))
        found.append(optimizer.lr)
    assert found == [recipe.lr_at(1 + iteration // 4, 0.3) for iteration in range(updates)]
    schedule(trainer_at(updates, optimizer=optimizer))  # over, and nothing comes after the last
    assert optimizer.lr == recipe.lr_at(recipe.epochs, 0.3)


def test_the_learning_rate_of_alphas_falls_with_the_other():
    recipe = catalog.entry('weighted_resnet').recipe
    model = catalog.build('weighted_resnet', depth=10)
    schedule = WholeSchedule(recipe, 0.1, Stop(1, 100))
    schedule(trainer_at(60, optimizer=make_optimizer(recipe, model, 0.1)))
    rates = {param.update_rule.hyperparam.lr for param in model.alphas()}
    assert rates == {recipe.alpha_lr_at(1 + int(0.6 * recipe.epochs))} != {recipe.alpha_lr}


def test_a_run_without_an_end_is_refused():
    with pytest.raises(UserError, match='--iterations or --minutes'):
        Settings(whole_schedule=True)
    Settings(whole_schedule=True, iterations=3)
    Settings(whole_schedule=True, minutes=0.1)


RUN = dict(
    options={'d': 2},
    batch=8,
    lr=0.1,
    train_batch_divide=1,
    test_batch_divide=1,
    dataset='shapes',
    limit_train=32,
    limit_test=8,
)


def test_a_resumed_run_ends_with_the_same_bits(tmp_path):
    run = dict(RUN, iterations=8, whole_schedule=True)
    whole = train('resnext', **run, out=tmp_path / 'whole')
    rates = [epoch['lr'] for epoch in whole.log]
    assert rates[0] > rates[-1]  # 0.1, then 0.01 from the middle on
    train('resnext', **dict(run, epoch=1), out=tmp_path / 'halted')
    resumed = train('resnext', **run, out=tmp_path / 'halted', resume=True)
    assert [epoch['lr'] for epoch in resumed.log] == rates
    for ours, theirs in zip(resumed.model.params(), whole.model.params()):
        np.testing.assert_array_equal(ours.array, theirs.array)


@pytest.mark.parametrize('first', [True, False])
def test_a_run_does_not_change_its_schedule_when_it_is_resumed(first, tmp_path):
    run = dict(RUN, iterations=4, out=tmp_path / 'run')
    train('resnext', **run, whole_schedule=first)
    with pytest.raises(UserError, match='--whole_schedule'):
        train('resnext', **run, whole_schedule=not first, resume=True)
