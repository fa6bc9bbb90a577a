"""Networks that the papers print and the article did not build: options of their models."""

import chainer
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo.errors import UserError
from chainer_zoo.functions import noise
from chainer_zoo.report import golden


def built(name, **options):
    with initializers.unfilled():
        return chainer_zoo.build(name, **options)


def filled(name, **options):
    model = built(name, **options)
    golden.fill_model(model)
    return model


#: What the papers print, in millions, and to how many of them it is rounded there.
PRINTED = [
    # table 4 of FractalNet's paper: columns 2 to 5 of blocks that start with 16 channels
    ('fractalnet', {'columns': 2, 'width': 16}, 0.8, 0.05),
    ('fractalnet', {'columns': 3, 'width': 16}, 2.1, 0.05),
    ('fractalnet', {'columns': 4, 'width': 16}, 4.8, 0.05),
    ('fractalnet', {'columns': 5, 'width': 16}, 10.2, 0.1),
    # table 2 of DenseNet's
    ('densenet', {'depth': 100, 'bottleneck': True, 'compression': 0.5}, 0.8, 0.05),
    (
        'densenet',
        {'depth': 250, 'growth_rate': 24, 'bottleneck': True, 'compression': 0.5},
        15.3,
        0.1,
    ),
    (
        'densenet',
        {'depth': 190, 'growth_rate': 40, 'bottleneck': True, 'compression': 0.5},
        25.6,
        0.1,
    ),
    # table 4 of PyramidNet's, whose first row does not add up as the others do: 27.2 here
    ('pyramidnet', {'depth': 164, 'alpha': 270, 'bottleneck': True}, 27.0, 0.25),
    ('pyramidnet', {'depth': 200, 'alpha': 240, 'bottleneck': True}, 26.6, 0.1),
    ('pyramidnet', {'depth': 236, 'alpha': 220, 'bottleneck': True}, 26.8, 0.1),
    ('pyramidnet', {'depth': 272, 'alpha': 200, 'bottleneck': True}, 26.0, 0.1),
    # table 2 of VGG's, for 1000 classes
    ('vgg_a', {'column': 'A', 'n_class': 1000}, 133, 0.5),
    ('vgg_a', {'column': 'B', 'n_class': 1000}, 133, 0.5),
    ('vgg_a', {'column': 'D', 'n_class': 1000}, 138, 0.5),
    ('vgg_a', {'column': 'E', 'n_class': 1000}, 144, 0.5),
    ('wide_resnet', {'dropout_ratio': 0.3}, 36.5, 0.5),
]


@pytest.mark.parametrize('name, options, millions, rounding', PRINTED)
def test_there_are_as_many_parameters_as_the_paper_prints(name, options, millions, rounding):
    """Scale and shift of BN among them; their convolutions have no biases, but for VGG's."""
    model = built(name, **options)
    count = sum(param.size for param in model.params() if param.name != 'b' or name == 'vgg_a')
    assert count / 1e6 == pytest.approx(millions, abs=rounding)


@pytest.mark.parametrize(
    'name, options',
    [
        ('fractalnet', {'columns': 4, 'width': 4}),
        ('densenet', {'depth': 16, 'growth_rate': 4, 'bottleneck': True, 'compression': 0.5}),
        ('pyramidnet', {'depth': 20, 'alpha': 12, 'bottleneck': True}),
        ('wide_resnet', {'depth': 10, 'k': 1, 'dropout_ratio': 0.5}),
        ('wide_resnet', {'depth': 10, 'k': 1, 'variant': '2016-10-28', 'dropout_ratio': 0.5}),
        ('swapout', {'depth': 8, 'k': 1, 'samples': 2}),
        ('swapout', {'depth': 8, 'k': 1, 'samples': 2, 'variant': '2016-11-24'}),
        ('resnext', {'C': 2, 'd': 4, 'variant': 'a'}),
        ('resnext', {'C': 2, 'd': 4, 'variant': 'c'}),
    ],
)
@pytest.mark.parametrize('train', [True, False], ids=['train', 'test'])
def test_it_computes_finite_logits_and_a_gradient_for_every_parameter(name, options, train):
    model = filled(name, **options)
    x, t = golden.batch(0, 3, 32)
    with chainer.using_config('train', train), chainer_zoo.no_noise():
        model.cleargrads()
        y = model(x)
        chainer.functions.softmax_cross_entropy(y, t).backward()
    assert y.shape == (3, 10) and np.isfinite(y.array).all()
    for path, param in model.namedparams():
        assert param.grad is not None and np.isfinite(param.grad).all(), path


def passes(model, x, seed, train=True):
    noise.generator.seed(seed)
    with chainer.using_config('train', train), chainer.no_backprop_mode():
        return model(x).array


def test_dropout_of_wide_resnet_acts_in_training_only():
    x, _ = golden.batch(0, 4, 32)
    model = filled('wide_resnet', depth=10, k=1, dropout_ratio=0.3)
    assert (passes(model, x, 1) != passes(model, x, 2)).any()
    np.testing.assert_array_equal(passes(model, x, 1, False), passes(model, x, 2, False))
    plain = filled('wide_resnet', depth=10, k=1)
    golden.fill_model(model)
    np.testing.assert_allclose(
        passes(plain, x, 1, False), passes(model, x, 1, False), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    'name, options',
    [
        ('stochastic_depth', {'depth': 20}),
        ('ror', {'depth': 16, 'k': 1}),
        ('weighted_resnet', {'depth': 22}),
        ('pyramidnet_sepdrop', {'depth': 20, 'alpha': 30}),
    ],
)
def test_a_last_survival_of_one_drops_nothing(name, options):
    """RoR without stochastic depth among them."""
    x, _ = golden.batch(0, 4, 32)
    always = filled(name, **options, last_survival=1.0)
    first = passes(always, x, 1)
    for seed in range(2, 6):
        np.testing.assert_array_equal(passes(always, x, seed), first)
    rarely = filled(name, **options, last_survival=0.05)
    assert any((passes(rarely, x, seed) != first).any() for seed in range(2, 6))


def test_the_thetas_of_swapout_run_from_the_first_to_the_last():
    model = built('swapout', depth=14, k=1, first_theta=0.1, last_theta=0.7)
    thetas = [
        theta for stage in (1, 2, 3) for theta in model[f'res_block_with_swapout{stage}'].thetas
    ]
    np.testing.assert_allclose(thetas, 0.1 + 0.1 * np.arange(6))


def test_swapout_averages_as_many_samples_as_asked():
    x, _ = golden.batch(0, 2, 32)
    one, four = (filled('swapout', depth=8, k=1, samples=samples) for samples in (1, 4))
    mean = passes(four, x, 7, train=False)
    noise.generator.seed(7)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        samples = [one(x).array for _ in range(4)]
    np.testing.assert_allclose(mean, np.mean(samples, axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    'name, options',
    [
        ('wide_resnet', {'dropout_ratio': 1.0}),
        ('wide_resnet', {'dropout_ratio': float('nan')}),
        ('densenet', {'compression': 0.0}),
        ('densenet', {'compression': 1.5}),
        ('ror', {'last_survival': 0.0}),
        ('ror', {'last_survival': True}),
        ('swapout', {'last_theta': 1}),
        ('swapout', {'samples': 0}),
        ('vgg_a', {'column': 'C'}),
        ('fractalnet', {'columns': 9}),
        ('resnext', {'variant': 'd'}),
    ],
)
def test_values_that_make_no_sense_are_refused(name, options):
    with pytest.raises(UserError, match=f'{name}: {next(iter(options))} must be'):
        built(name, **options)


def test_a_whole_number_is_taken_where_a_number_is_expected():
    assert built('ror', depth=10, k=1, last_survival=1) is not None


@pytest.mark.parametrize(
    'name, options, stem',
    [
        ('vgg_a', {'column': 'E'}, 'VGG_E_10'),
        ('vgg_a', {}, 'VGG_A_10'),
        ('stochastic_depth', {}, 'stochastic_depth_10_(18, 18, 18)_(16, 32, 64)_(1.0, 0.5)'),
        (
            'ror',
            {'last_survival': 1},
            'resnet_of_resnet_10_(9, 9, 9)_(64, 128, 256)_(1.0, 1.0)',
        ),
        (
            'swapout',
            {},
            'swapout_10_3_(64, 128, 256)_(5, 5, 5)_(0.0, 0.5)_(0.0, 0.5)_True_4',
        ),
    ],
)
def test_files_are_called_as_the_original_would(name, options, stem):
    entry = chainer_zoo.entry(name)
    assert entry.model_file(entry.complete(options), 3) == f'{stem}_3.model'
