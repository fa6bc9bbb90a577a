"""From a recipe to updates."""

import chainer
import numpy as np
import pytest
from chainer.optimizer_hooks import Lasso
from chainer.optimizer_hooks import WeightDecay

import chainer_zoo
from chainer_zoo.catalog import Recipe
from chainer_zoo.functions import noise
from chainer_zoo.training.optimizer import make_optimizer
from chainer_zoo.training.optimizer import MomentumSGD
from chainer_zoo.training.optimizer import set_lr
from chainer_zoo.training.optimizer import SkippingMomentumSGD


class Two(chainer.Chain):
    """Two numbers."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.a = chainer.Parameter(np.ones(1, dtype=np.float32))
            self.b = chainer.Parameter(np.ones(1, dtype=np.float32))


def update(optimizer, a, b):
    """Make one update with these gradients; None is none."""
    for param, grad in ((optimizer.target.a, a), (optimizer.target.b, b)):
        param.grad = None if grad is None else np.full(1, grad, dtype=np.float32)
    optimizer.update()


def test_one_update_by_hand():
    optimizer = make_optimizer(Recipe(lr=0.5, epochs=1, weight_decay=0.1), Two())
    update(optimizer, 1.0, 2.0)
    update(optimizer, 1.0, 2.0)
    # v = -0.5 * (1 + 0.1 * 1) = -0.55; then v = 0.9 * -0.55 - 0.5 * (1 + 0.1 * 0.45)
    assert float(optimizer.target.a.array[0]) == pytest.approx(
        1 - 0.55 + (0.9 * -0.55 - 0.5 * (1 + 0.1 * 0.45)), rel=1e-6
    )


class Several(chainer.Chain):
    """Parameters of several shapes and types."""

    def __init__(self, seed):
        super().__init__()
        random = np.random.RandomState(seed)
        with self.init_scope():
            for name, shape, dtype in (
                ('kernel', (4, 3, 3, 3), 'f'),
                ('single', (1,), 'f'),
                ('number', (), 'f'),
                ('double', (5, 2), 'd'),
                ('pre', (7,), 'f'),
                ('post', (7,), 'f'),
                ('disabled', (7,), 'f'),
                ('own_rate', (7,), 'f'),
                ('scaled', (7,), 'f'),
            ):
                array = np.asarray(random.standard_normal(shape), dtype=dtype)
                setattr(self, name, chainer.Parameter(array))


@pytest.mark.parametrize('kind', [MomentumSGD, SkippingMomentumSGD])
@pytest.mark.parametrize('rates', [(0.1, 0.01), (np.float64(0.1), np.float64(0.01))])
@pytest.mark.parametrize('hook', [None, WeightDecay, Lasso])
def test_the_updates_are_those_of_chainer(kind, rates, hook):
    """To the last bit, whatever parameters, rates and hooks there are."""
    made = []
    for optimizer in kind(momentum=0.9), chainer.optimizers.MomentumSGD(momentum=0.9):
        model = Several(0)
        optimizer.setup(model)
        if hook is not None:
            optimizer.add_hook(hook(1e-3))
        model.pre.update_rule.add_hook(WeightDecay(1e-2))
        model.post.update_rule.add_hook(WeightDecay(1e-2), timing='post')
        model.disabled.update_rule.enabled = False
        model.own_rate.update_rule.hyperparam.lr = 0.5
        for step in range(20):
            optimizer.lr = rates[step // 10]
            for param, other in zip(model.params(), Several(step + 1).params()):
                param.grad = other.array
            model.scaled._loss_scale = 8
            optimizer.update()
        made.append(
            {
                name: [
                    param.array,
                    param.grad,
                    param.update_rule.t,
                    (param.update_rule.state or {}).get('v'),
                ]
                for name, param in model.namedparams()
            }
        )
    for name, ours in made[0].items():
        for a, b in zip(ours, made[1][name]):
            np.testing.assert_array_equal(a, b, err_msg=name)


def test_a_parameter_in_a_layout_of_its_own_is_updated_as_by_chainer():
    with chainer.using_config('compute_mode', 'cudnn_fast'):
        link = chainer.links.Convolution2D(3, 4, 3)
    assert link.W.layout is not None
    optimizer = MomentumSGD(0.5, 0.9).setup(link)
    with chainer.variable._AllowArrayAccessWithNonstandardLayout():
        before = link.W.raw_array.copy()
        for param in link.params():
            param._set_grad(np.ones_like(param.raw_array), layout_check=False)
    optimizer.update()
    np.testing.assert_array_equal(link.W.raw_array, before - np.float32(0.5))


def test_what_was_dropped_keeps_its_value_and_its_momentum():
    recipe = Recipe(lr=0.5, epochs=1, weight_decay=0.1, skip_dropped=True)
    optimizer = make_optimizer(recipe, Two())
    update(optimizer, 1.0, 1.0)
    before = float(optimizer.target.b.array[0]), float(optimizer.target.b.update_rule.state['v'][0])
    update(optimizer, 1.0, None)
    assert before == (
        float(optimizer.target.b.array[0]),
        float(optimizer.target.b.update_rule.state['v'][0]),
    )
    update(optimizer, 1.0, 1.0)  # and it is not lost for later
    assert float(optimizer.target.b.array[0]) != before[0]


def fingerprints(model):
    return {path: param.array.tobytes() for path, param in model.namedparams()}


@pytest.mark.parametrize('name', ['stochastic_depth', 'ror', 'weighted_resnet'])
@pytest.mark.parametrize('frozen', ['everything', 'one block', 'nothing'])
def test_what_is_frozen_stays_frozen_and_only_that(name, frozen):
    """Blocks drop out at random; what the optimizer switches off for it, it switches on again."""
    np.random.seed(0)
    noise.generator.seed(0)
    depth = 10 if name == 'weighted_resnet' else 8
    model = chainer_zoo.build(name, depth=depth, **({'k': 1} if name == 'ror' else {}))
    optimizer = make_optimizer(chainer_zoo.entry(name).recipe, model)
    links = {'everything': [model], 'one block': [model.conv1], 'nothing': []}[frozen]
    for link in links:
        link.disable_update()
    kept = {id(param) for link in links for param in link.params()}
    enabled = {id(param): param.update_rule.enabled for param in model.params()}
    before = fingerprints(model)
    x = np.random.RandomState(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    for _ in range(6):
        model.cleargrads()
        chainer.functions.sum(model(x)).backward()
        optimizer.update()
        assert enabled == {id(param): param.update_rule.enabled for param in model.params()}
    moved = {path for path, array in fingerprints(model).items() if array != before[path]}
    for path, param in model.namedparams():
        assert path not in moved if id(param) in kept else True, path
    assert bool(moved) == (frozen != 'everything')


def test_an_update_that_fails_leaves_no_parameter_switched_off():
    optimizer = make_optimizer(Recipe(lr=0.5, epochs=1, skip_dropped=True), Two())

    class Failing:
        name = 'Failing'
        timing = 'pre'
        call_for_each_param = False

        def __call__(self, optimizer):
            raise KeyError

    optimizer.add_hook(Failing())
    with pytest.raises(KeyError):
        update(optimizer, 1.0, None)
    assert optimizer.target.a.update_rule.enabled and optimizer.target.b.update_rule.enabled


def test_without_skipping_an_absent_gradient_counts_as_zero():
    optimizer = make_optimizer(Recipe(lr=0.5, epochs=1, weight_decay=0.1), Two())
    update(optimizer, 1.0, 1.0)
    before = float(optimizer.target.b.array[0])
    update(optimizer, 1.0, None)
    assert float(optimizer.target.b.array[0]) != before


def test_gradients_are_clipped_behind_weight_decay():
    optimizer = make_optimizer(
        Recipe(lr=1.0, epochs=1, weight_decay=1.0, clip=1.0, momentum=0.0), Two()
    )
    update(optimizer, 2.0, 3.0)  # with decay 3 and 4, whose norm is 5
    assert float(optimizer.target.a.array[0]) == pytest.approx(1 - 3 / 5)
    assert float(optimizer.target.b.array[0]) == pytest.approx(1 - 4 / 5)


def test_alphas_have_their_own_learning_rate_and_other_single_numbers_do_not():
    model = chainer_zoo.build('weighted_resnet', depth=10)
    recipe = chainer_zoo.entry('weighted_resnet').recipe
    with model.init_scope():
        model.other = chainer.Parameter(0, (1, 1, 1, 1))  # of an alpha's shape
    optimizer = make_optimizer(recipe, model)
    for epoch, alpha, rest in ((1, 0.001, 0.1), (82, 0.0001, 0.01)):
        set_lr(optimizer, recipe, epoch)
        for path, param in model.namedparams():
            expected = alpha if path.endswith('/weight/weight/W') else rest
            assert param.update_rule.hyperparam.lr == pytest.approx(expected), path


def test_rmsprop_has_the_constants_of_its_recipe():
    recipe = Recipe(
        lr=0.5, epochs=1, weight_decay=0.0, optimizer='RMSprop', rms_decay=0.75, rms_epsilon=2.0
    )
    optimizer = make_optimizer(recipe, Two())
    update(optimizer, 4.0, 0.0)
    # the mean square is 0.25 * 16 = 4; epsilon is added inside the root
    assert float(optimizer.target.a.array[0]) == pytest.approx(1 - 0.5 * 4 / np.sqrt(4 + 2))


def test_inception_v4_has_the_constants_of_its_paper():
    recipe = chainer_zoo.entry('inception_v4').recipe
    assert (recipe.rms_decay, recipe.rms_epsilon) == (0.9, 1.0)
