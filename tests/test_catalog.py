"""The catalog: 25 rows, their recipes and their options."""

import json
import pathlib

import pytest

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo import memory
from chainer_zoo.catalog import Recipe
from chainer_zoo.errors import UserError

SCHEDULES = json.loads((pathlib.Path(__file__).parent / 'golden' / 'schedules.json').read_text())
NAMES = chainer_zoo.names()

#: What differs from a batch of 128 in 4 micro-batches, as in the original code.
BATCH = {
    'vgg_a': 256,
    'resnext': 256,
    'googlenet': 32,
    'squeezenet': 64,
    'densenet': 64,
    'rir': 500,
    'fractalnet': 100,
}
MICRO_BATCHES = {'nin': 1, 'vgg_a': 1, 'squeezenet': 1, 'ror': 8}
IMAGES = {
    'squeezenet': 'big',
    'vgg_a': 'bigger',
    'googlenet': 'bigger',
    'googlenet_v2': 'bigger',
    'googlenet_v3': 'bigger',
    'prelu_net': 'bigger',
    'inception_v4': 'huge',
    'xception': 'huge',
}


def test_there_are_25_rows_in_the_articles_order():
    assert len(NAMES) == 25
    # googlenet_v3 stands beside its elders, before the prelu_net of the same year
    numbers = [chainer_zoo.entry(name).number for name in NAMES]
    assert sorted(set(numbers)) == list(range(1, 25))
    assert NAMES[0] == 'nin' and NAMES[-1] == 'pyramidnet_sepdrop'


@pytest.mark.parametrize('name', sorted(SCHEDULES))
def test_the_rate_of_every_epoch_is_the_originals(name):
    recipe, original = chainer_zoo.entry(name).recipe, SCHEDULES[name]
    assert recipe.epochs == original['epochs'] == len(original['lr_by_epoch'])
    if 'error' in original:  # pyramidnet_sepdrop: theirs divides by zero, ours is the paper's
        assert [recipe.lr_at(epoch) for epoch in (1, 150, 151, 225, 226, 300)] == pytest.approx(
            [0.5, 0.5, 0.05, 0.05, 0.005, 0.005], rel=1e-12
        )
        assert (recipe.optimizer, recipe.momentum, recipe.weight_decay) == (
            'MomentumSGD',
            0.9,
            1e-4,
        )
        return
    assert [recipe.lr_at(epoch) for epoch in range(1, recipe.epochs + 1)] == original['lr_by_epoch']
    assert recipe.optimizer == original['optimizer']
    assert recipe.momentum == original['momentum']
    hooks = {'WeightDecay': recipe.weight_decay}
    if recipe.clip is not None:
        hooks['GradientClipping'] = recipe.clip
    assert hooks == original['hooks']


def test_weights_of_weighted_residuals_have_a_rate_of_their_own_that_drops_too():
    recipe = chainer_zoo.entry('weighted_resnet').recipe
    assert [recipe.alpha_lr_at(epoch) for epoch in (1, 81, 82, 123)] == pytest.approx(
        [0.001, 0.001, 0.0001, 0.00001], rel=1e-12
    )
    assert SCHEDULES['weighted_resnet']['lr_groups_at_start'] == [recipe.alpha_lr, recipe.lr]


@pytest.mark.parametrize('name', NAMES)
def test_batch_micro_batches_and_images_are_the_originals(name):
    entry = chainer_zoo.entry(name)
    assert entry.recipe.batch == BATCH.get(name, 128)
    assert entry.recipe.micro_batches == MICRO_BATCHES.get(name, 4)
    assert entry.image_class(entry.complete({})) == IMAGES.get(name, 'small')


@pytest.mark.parametrize(
    'fields, said',
    [
        ({'optimizer': 'Adam'}, 'MomentumSGD or RMSprop, not .Adam.'),
        ({'optimizer': 'momentumsgd'}, 'MomentumSGD or RMSprop'),
        ({'optimizer': 'RMSprop'}, 'needs rms_decay and rms_epsilon'),
        ({'optimizer': 'RMSprop', 'rms_decay': 0.9}, 'needs rms_decay and rms_epsilon'),
        ({'rms_decay': 0.9}, 'for RMSprop only'),
        (
            {'optimizer': 'RMSprop', 'rms_decay': 0.9, 'rms_epsilon': 1.0, 'skip_dropped': True},
            'for MomentumSGD only',
        ),
    ],
)
def test_a_row_that_no_optimizer_fits_is_an_error(fields, said):
    with pytest.raises(ValueError, match=said):
        Recipe(lr=0.1, epochs=1, **fields)


@pytest.mark.parametrize('name', NAMES)
def test_a_model_that_the_original_has_names_the_module_of_its_class(name):
    entry = chainer_zoo.entry(name)
    assert (entry.original is None) == (entry.original_module is None)


def test_no_two_models_have_the_same_original_module():
    modules = [chainer_zoo.entry(name).original_module for name in NAMES]
    modules = [module for module in modules if module is not None]
    assert len(set(modules)) == len(modules) == 23


def test_what_was_dropped_is_skipped_where_the_original_skips_it():
    skipping = {name for name in NAMES if chainer_zoo.entry(name).recipe.skip_dropped}
    assert skipping == {
        'stochastic_depth',
        'ror',
        'weighted_resnet',
        'fractalnet',
        'pyramidnet_sepdrop',
    }


@pytest.mark.parametrize('name', NAMES)
def test_every_row_has_its_paper_and_says_where_its_count_differs(name):
    entry = chainer_zoo.entry(name)
    assert entry.paper and entry.row and entry.year in range(2013, 2017)
    if entry.weights and entry.article_millions:
        rounding = max(0.05, 0.03 * entry.article_millions)
        differs = abs(entry.weights / 1e6 - entry.article_millions) > rounding
        assert not differs or 'M' in entry.note


@pytest.mark.parametrize(
    'name, epoch, file',
    [
        ('resnext', 2, 'ResNext_10_2_2.model'),
        ('resnet', 1, 'residual_network_10_(16, 32, 64)_(18, 18, 18)_1.model'),
        ('preresnet', 1, 'residual_network_10_3_(16, 32, 64)_(18, 18, 18)_4_1.model'),
        (
            'swapout',
            3,
            'swapout_10_3_(64, 128, 256)_(5, 5, 5)_(0.0, 0.5)_(0.0, 0.5)_True_4_3.model',
        ),
        ('densenet', 1, 'densenet_10_3_12_12_1.model'),
        ('squeezenet', 7, 'squeeze_res_net_7.model'),
        ('xception', 1, 'xception_10_1.model'),
    ],
)
def test_model_files_are_called_as_the_original_calls_them(name, epoch, file):
    entry = chainer_zoo.entry(name)
    assert entry.model_file(entry.complete({}), epoch) == file


def test_an_unknown_model_names_the_closest():
    with pytest.raises(UserError, match='did you mean resnext'):
        chainer_zoo.build('resnxt')
    with pytest.raises(UserError, match='the models are nin nin_bn'):
        chainer_zoo.build('zzz')


HUGE = 10**30


@pytest.mark.parametrize(
    'name, options, allowed',
    [
        ('resnet', {'depth': 111}, '6 n'),
        ('preresnet', {'depth': 111}, '9 n'),
        ('wide_resnet', {'k': 0}, 'from 1 to 1,000'),
        ('wide_resnet', {'depth': 27}, '6 n'),
        ('densenet', {'growth_rate': -1}, 'from 1 to 100,000'),
        ('densenet', {'depth': 'deep'}, '3 n'),
        ('resnext', {'C': 2.5}, 'whole number'),
        ('resnext', {'C': True}, 'whole number'),
        ('resnext', {'C': None}, 'whole number'),
        ('resnext', {'growth_rate': 12}, 'has no option growth_rate'),
        ('xception', {'size': 64}, '299 or 32'),
        ('swapout', {'stochastic_inference': 1}, 'True or False'),
        ('nin', {'n_class': 0}, 'from 1 to 100,000'),
        ('nin', {'n_class': 100_001}, 'from 1 to 100,000'),
        ('nin', {'n_class': 10**9}, 'from 1 to 100,000'),
        ('resnet', {'depth': 6_000_002}, 'at most 10,000'),
        ('rir', {'channel': 100_002}, '2 to 100,000'),
        ('pyramidnet', {'alpha': '9' * 5000}, 'from 1 to 100,000'),
        ('pyramidnet', {'alpha': 10**5000}, 'not a number of thousands of digits'),
    ]
    + [
        (name, {option: HUGE}, '0')
        for name in NAMES
        for option in chainer_zoo.entry(name).defaults
        if type(chainer_zoo.entry(name).defaults[option]) is int
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_one_line(name, options, allowed):
    with pytest.raises(UserError) as error:
        chainer_zoo.entry(name).complete(options)
    assert allowed in str(error.value) and '\n' not in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize('name', NAMES)
def test_the_bound_of_an_option_is_named_and_is_its_bound(name):
    """The number that a message names as the largest is allowed or, for a depth, not far off."""
    entry = chainer_zoo.entry(name)
    for option in entry.options:
        if option.type is int and option.name != 'size':
            most = int(option.allowed.rsplit(' ', 1)[1].replace(',', ''))
            assert any(option.check(most - i) for i in range(9))
            assert not any(option.check(most + 1 + i) for i in range(20))


@pytest.mark.parametrize(
    'name, options',
    [
        ('resnext', {'d': 100_000}),
        ('resnext', {'d': 4, 'multiplier': 1_000, 'C': 256}),
        ('resnet', {'depth': 9_998, 'k': 100}),
        ('wide_resnet', {'k': 1_000}),
        ('rir', {'channel': 100_000}),
        ('densenet', {'growth_rate': 100_000}),
        ('pyramidnet', {'alpha': 100_000}),
        ('swapout', {'k': 1_000}),
    ],
)
def test_a_model_that_memory_cannot_hold_is_refused_before_anything_is_allocated(
    name, options, monkeypatch
):
    monkeypatch.setattr(memory, 'available', lambda: 2**30)
    with pytest.raises(UserError, match='takes more memory than the 1.1 GB that are free'):
        chainer_zoo.build(name, **options)


@pytest.mark.parametrize('name', NAMES)
def test_a_models_size_is_known_before_it_is_built(name):
    """The weights and their gradients; what else there is comes to less than a fortieth of it."""
    entry = chainer_zoo.entry(name)
    options = {'depth': 34 if name == 'weighted_resnet' else entry.defaults.get('depth')}
    options = {key: value for key, value in options.items() if value is not None}
    budget = memory.Budget(name, None)
    with initializers.outline(budget):
        entry.model(**entry.complete(options))
    with initializers.unfilled():
        model = entry.build(**options)
    arrays = sum(param.array.nbytes for param in model.params())
    assert 0.975 * 2 * arrays <= budget.taken <= 2 * arrays


def test_a_system_that_gives_no_memory_is_one_line(monkeypatch):
    def refuse(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(initializers.HeOrthogonal, '__call__', refuse)
    with pytest.raises(UserError, match='nin of these options takes more memory'):
        chainer_zoo.build('nin')
