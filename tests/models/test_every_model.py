"""What holds for every model of the catalog."""

import chainer
import chainer.functions as F
import numpy as np
import pytest

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo import parameters
from chainer_zoo.report import golden

#: Images as small as the network allows, where that is not 32.
SIDE = {'vgg_a': 224, 'inception_v4': 75, 'xception': 71}
#: Its 594 blocks say nothing that 9 do not; the whole one is held by its shapes and its counts.
OPTIONS = {'weighted_resnet': {'depth': 58}, 'swapout': {'stochastic_inference': False}}

#: A BN that the original's files have and that nothing uses.
UNUSED = {'pyramidnet_sepdrop': {'/linear/bn/gamma', '/linear/bn/beta'}}


def build(name, **options):
    with initializers.unfilled():
        return chainer_zoo.build(name, **dict(OPTIONS.get(name, {}), **options))


@pytest.fixture(scope='module', params=chainer_zoo.names())
def name(request):
    return request.param


@pytest.fixture(scope='module')
def trained_once(name):
    """A model after one training pass and its backward, with all noise off, and its logits."""
    model = build(name)
    golden.fill_model(model)
    x, t = golden.batch(0, 2, SIDE.get(name, 32))
    with chainer.using_config('train', True), chainer_zoo.no_noise():
        model.cleargrads()  # Chainer starts gradients as NaN
        y = model(x)
        F.softmax_cross_entropy(y, t).backward()
    return model, x, y


class TestEveryModel:
    def test_logits_are_float32_finite_and_one_per_class(self, trained_once):
        _, _, y = trained_once
        assert y.shape == (2, 10) and y.dtype == np.float32
        assert np.isfinite(y.array).all()

    def test_every_parameter_gets_a_finite_gradient(self, name, trained_once):
        model, _, _ = trained_once
        for path, param in model.namedparams():
            if path in UNUSED.get(name, ()):
                assert param.grad is None, path
                continue
            assert param.grad is not None and np.isfinite(param.grad).all(), path
            assert param.grad.dtype == param.array.dtype == np.float32, path

    def test_a_saved_model_loaded_gives_the_same_logits(self, name, trained_once, tmp_path):
        model, x, _ = trained_once
        path = str(tmp_path / 'model')
        chainer.serializers.save_npz(path, model, compression=False)
        other = build(name)
        chainer.serializers.load_npz(path, other)
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            np.testing.assert_array_equal(other(x[:1]).array, model(x[:1]).array)

    def test_test_mode_uses_running_statistics_and_draws_nothing(self, trained_once):
        model, x, _ = trained_once
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            alone, again = model(x[:1]).array, model(x[:1]).array
            together = model(x).array
        np.testing.assert_array_equal(alone, again)
        scale = np.abs(together).max()
        assert scale > 0
        np.testing.assert_allclose(alone[0], together[0], atol=1e-4 * scale)

    def test_other_numbers_of_classes_only_change_the_last_layers(self, name):
        shapes = [
            {path: param.shape for path, param in build(name, n_class=n).namedparams()}
            for n in (10, 7)
        ]
        changed = {path for path in shapes[0] if shapes[0][path] != shapes[1][path]}
        assert shapes[0].keys() == shapes[1].keys()
        assert changed and len(changed) <= 4
        for path in changed:
            assert 10 in shapes[0][path] and 7 in shapes[1][path], path


def test_the_count_of_weights_is_the_catalogs(name):
    with initializers.unfilled():
        model = chainer_zoo.build(name)
    entry = chainer_zoo.entry(name)
    if entry.original:
        assert parameters.count_weights(model) == entry.weights
    else:
        assert entry.weights is None


@pytest.mark.parametrize(
    'paper_row, options, millions',
    [
        ('densenet', {'depth': 100, 'growth_rate': 24}, 27.017808),
        ('resnext', {'C': 16, 'd': 64}, 67.584768),
        ('ror', {'depth': 40, 'k': 2}, 2.258016),
        ('nas', {'variant': 'paper'}, 4.200348),
    ],
)
def test_weights_of_other_rows_of_the_papers(paper_row, options, millions):
    with initializers.unfilled():
        assert parameters.count_weights(chainer_zoo.build(paper_row, **options)) == round(
            millions * 1e6
        )


@pytest.mark.parametrize(
    'noisy',
    [
        'stochastic_depth',
        'swapout',
        'fractalnet',
        'weighted_resnet',
        'ror',
        'pyramidnet_sepdrop',
        'nin',
        'prelu_net',
    ],
)
def test_noise_repeats_from_a_seed_and_differs_without(noisy):
    model = build(noisy)
    golden.fill_model(model)
    x, _ = golden.batch(0, 2, SIDE.get(noisy, 32))

    def logits(seed):
        chainer_zoo.functions.noise.generator.seed(seed)
        with chainer.using_config('train', True), chainer.no_backprop_mode():
            return model(x).array

    first = logits(1)
    np.testing.assert_array_equal(first, logits(1))
    assert any(np.abs(first - logits(seed)).max() > 0 for seed in (2, 3, 4))
