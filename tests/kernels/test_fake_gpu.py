"""Models on a GPU made of NumPy: every function's GPU code, every kernel, whole training runs.

It shows that the GPU path is complete (no array of the host meets one of the device, no kernel is
wrong) and that noise is the CPU's, mask by mask. What it cannot show is CuPy's own functions and
cuDNN: tests/gpu does, on a GPU.
"""

import json

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer.backends import cuda

import chainer_zoo
from chainer_zoo import initializers
from chainer_zoo import parameters
from chainer_zoo.commands import train
from chainer_zoo.functions import noise
from chainer_zoo.report import golden
from chainer_zoo.training.optimizer import make_optimizer

pytestmark = [pytest.mark.kernels, pytest.mark.slow]

#: As small as an option makes them, but with every kind of block.
OPTIONS = {
    'resnet': {'depth': 14},
    'preresnet': {'depth': 20},
    'stochastic_depth': {'depth': 14},
    'swapout': {'depth': 14, 'k': 1},
    'wide_resnet': {'depth': 14, 'k': 1},
    'weighted_resnet': {'depth': 16},
    'ror': {'depth': 14, 'k': 1},
    'densenet': {'depth': 10},
    'pyramidnet': {'depth': 14, 'alpha': 12},
    'pyramidnet_sepdrop': {'depth': 14, 'alpha': 12},
    'rir': {'channel': 12},
    'resnext': {'C': 2, 'd': 4},
    'inception_v4': {'size': 32},
    'xception': {'size': 32},
}

#: BN over two numbers, all that is left of smaller images, would amplify rounding errors.
SIDE = {'googlenet_v3': 96}

#: vgg_a needs images of 224 pixels, for which these kernels are too slow.
NAMES = [name for name in chainer_zoo.names() if name != 'vgg_a']


@pytest.fixture
def device(kernels, tmp_path_factory):
    import fake_gpu

    with fake_gpu.installed(kernels.folder):
        yield chainer.get_device('@cupy:0')


def training_step(name, device):
    """Make one update with the noise on; return logits, gradients and parameters, on the host.

    In float64, so that no unit of ReLU differs for rounding's sake and little can hide.
    """
    with initializers.unfilled(), chainer.using_config('dtype', np.float64):
        model = chainer_zoo.build(name, **OPTIONS.get(name, {}))
    golden.fill_model(model)
    model.to_device(device)
    optimizer = make_optimizer(chainer_zoo.entry(name).recipe, model, lr=0.01)
    noise.generator.seed(7)
    x, t = golden.batch(0, 2, SIDE.get(name, 32))
    x, t = device.send(x.astype(np.float64)), device.send(t)
    with chainer.using_config('train', True), chainer.using_device(device):
        y = model(x)
        model.cleargrads()
        F.softmax_cross_entropy(y, t).backward()
        # copies: the update adds weight decay to the gradients
        grads = {
            path: None if p.grad is None else cuda.to_cpu(p.grad).copy()
            for path, p in model.namedparams()
        }
        optimizer.update()
    assert device.is_array_supported(y.array)
    return (
        cuda.to_cpu(y.array),
        grads,
        {path: cuda.to_cpu(array) for path, array in parameters.arrays(model).items()},
    )


@pytest.mark.parametrize('name', NAMES)
def test_one_training_step_is_the_cpus(name, device):
    state = noise.generator.state()
    logits, grads, arrays = training_step(name, device)
    expected_logits, expected_grads, expected_arrays = training_step(
        name, chainer.get_device('@numpy')
    )
    noise.generator.restore(state)
    assert logits.dtype == np.float64
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-9)
    largest = max(np.abs(g).max() for g in expected_grads.values() if g is not None)
    for path, g in grads.items():
        assert (g is None) == (expected_grads[path] is None), path
        if g is not None:
            np.testing.assert_allclose(
                g, expected_grads[path], rtol=1e-6, atol=1e-9 * largest, err_msg=path
            )
    for path, array in arrays.items():
        np.testing.assert_allclose(array, expected_arrays[path], rtol=1e-6, atol=1e-9, err_msg=path)


def log_of_run(out, *args):
    """Train a small net on a few drawn images; return its log, one record an epoch."""
    state = noise.generator.state()
    assert (
        train.main(
            [
                '--model',
                'stochastic_depth',
                '-n',
                '8',
                '-b',
                '8',
                '-trb',
                '2',
                '-teb',
                '1',
                '--dataset',
                'shapes',
                '--limit_train',
                '16',
                '--limit_test',
                '8',
                '--out',
                str(out),
            ]
            + list(args)
        )
        == 0
    )
    noise.generator.restore(state)
    return json.loads((out / 'log').read_text())


def test_a_run_on_the_gpu_follows_the_cpus_and_resumes_exactly(device, tmp_path):
    through = log_of_run(tmp_path / 'gpu', '-g', '0', '-e', '2')
    on_cpu = log_of_run(tmp_path / 'cpu', '--cpu', 'numpy', '-e', '2')
    assert [r['main/loss'] for r in through] == pytest.approx(
        [r['main/loss'] for r in on_cpu], rel=0.01
    )
    log_of_run(tmp_path / 'parts', '-g', '0', '-e', '1')
    resumed = log_of_run(tmp_path / 'parts', '-g', '0', '-e', '2', '--resume')
    for now, then in zip(resumed, through):
        assert now['main/loss'] == then['main/loss']
        assert now['validation/main/loss'] == then['validation/main/loss']


def test_mixed_precision_trains(device, tmp_path):
    log = log_of_run(tmp_path / 'run', '-g', '0', '-e', '1', '--dtype', 'mixed16')
    assert 1.5 < log[0]['main/loss'] < 4  # ln 10 = 2.3


def test_mixing_up_host_and_device_is_seen(device):
    on_device, on_host = device.send(np.ones(3, 'f')), np.ones(3, 'f')
    with pytest.raises(AssertionError, match='host meets one of the device'):
        on_device + on_host
    with pytest.raises(AssertionError, match='host is given to'):
        device.xp.concatenate(on_host)
