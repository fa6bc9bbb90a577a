"""On a GPU every model computes what it computes on a CPU, and what the original computes."""

import chainer
import chainer.functions as F
import golden_cases
import numpy as np
import pytest
from chainer.backends import cuda

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo.data.images import SIZE_CLASSES
from chainer_zoo.functions import noise
from chainer_zoo.report import golden
from chainer_zoo.training.optimizer import make_optimizer

pytestmark = pytest.mark.gpu

CASES = [case for case in golden_cases.CASES if case.logits is not None]

# Three updates amplify what is rounded otherwise.
TOLERANCES = dict(golden.TOLERANCES, train_losses=0.1, params_after_3_updates=0.1)


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.case)
def test_logits_gradients_statistics_and_updates_are_the_originals(case, device):
    """In float32; what rounding decides on a CPU already is held in float64 below, in one step."""
    elsewhere = golden_cases.IN_FLOAT64.get(case.case, set())
    undecided = golden_cases.IN_FLOAT64_BUT_FOR_NUMPY.get(case.case, set())
    model = case.build()
    model.to_device(device)
    found = golden.check(golden_cases.with_float64_logits(case), model, updates=not elsewhere)
    too_far = {
        what: deviation
        for what, deviation in found.items()
        if not deviation <= TOLERANCES[what] and what not in elsewhere | undecided
    }
    assert {'test_logits', 'train_logits', 'grads'} <= set(found) and not too_far, too_far


def norm(array):
    """Return the L2 norm of an array on any device; a copy of the largest would be a gigabyte."""
    return None if array is None else float((array * array).sum()) ** 0.5


def training_step(name, device, dtype=np.float32):
    """Make one update with the noise on; return loss, logits, norms and the generator's state."""
    entry = chainer_zoo.entry(name)
    side = SIZE_CLASSES[entry.image_class(entry.complete({}))].crop
    with initializers.unfilled(), chainer.using_config('dtype', dtype):
        model = entry.build()
    golden.fill_model(model)
    model.to_device(device)
    optimizer = make_optimizer(entry.recipe, model, lr=0.01)
    noise.generator.seed(7)
    x, t = golden.batch(0, 4, side)
    x, t = device.send(x.astype(dtype)), device.send(t)
    with chainer.using_config('train', True), chainer.using_device(device):
        y = model(x)
        loss = F.softmax_cross_entropy(y, t)
        model.cleargrads()
        loss.backward()
        grads = {path: norm(p.grad) for path, p in model.namedparams()}
        optimizer.update()
        params = {path: norm(p.array) for path, p in model.namedparams()}
    return float(loss.array), cuda.to_cpu(y.array), grads, params, noise.generator.state()


@pytest.mark.parametrize('name', chainer_zoo.names())
def test_one_training_step_is_the_cpus(name, device):
    """With the same masks, in float64: what is rounded otherwise cannot hide an error there.

    Gradients by their norm, against 1% of the largest at least.
    """
    loss, logits, grads, params, state = training_step(name, device, np.float64)
    expected = training_step(name, chainer.get_device('@numpy'), np.float64)
    assert logits.dtype == np.float64 and state == expected[4]
    assert abs(loss / expected[0] - 1) < 1e-6
    assert np.abs(logits - expected[1]).max() <= 1e-6 * np.abs(expected[1]).max()
    norms = {path: found for path, found in expected[2].items() if found is not None}
    floor = 0.01 * max(norms.values())
    for path, found in grads.items():
        assert (found is None) == (path not in norms), path
        if found is not None:
            assert abs(found - norms[path]) <= 1e-4 * max(norms[path], floor), path
    for path, found in params.items():
        assert found == pytest.approx(expected[3][path], rel=1e-5), path


@pytest.mark.parametrize('name', ['resnext', 'swapout', 'stochastic_depth', 'densenet'])
def test_a_run_with_noise_repeats_on_a_gpu(name, device):
    """Masks exactly; what cuDNN sums in varying order nearly."""
    first, second = training_step(name, device), training_step(name, device)
    assert first[4] == second[4]
    np.testing.assert_allclose(first[1], second[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['resnext', 'swapout', 'stochastic_depth'])
def test_mixed_precision_computes_nearly_the_same(name, device):
    """float16 with float32 inside: logits of a training pass within 5% of the largest."""

    def logits(dtype):
        with chainer.using_config('dtype', dtype), initializers.unfilled():
            model = chainer_zoo.build(name)
        golden.fill_model(model)
        model.to_device(device)
        noise.generator.seed(7)
        x, _ = golden.batch(0, 8, 32)
        kind = np.float16 if dtype is chainer.mixed16 else np.float32
        with chainer.using_config('dtype', dtype), chainer.using_config('train', True):
            y = model(device.send(x.astype(kind)))
        assert y.dtype == kind
        return cuda.to_cpu(y.array).astype('f')

    full, mixed = logits(np.float32), logits(chainer.mixed16)
    assert np.abs(mixed - full).max() <= 0.05 * np.abs(full).max()
